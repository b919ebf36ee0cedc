#!/usr/bin/perl

# klaviyo_consent_string: what the cookies of banners say, as `1`, `0` or
# nothing, and klaviyo_consent with it.

use lib 't/lib';
use Klaviyo::Test;


my $t = Klaviyo::Test->new(
    http => <<'END',
        klaviyo_consent_string $tcf tcf $cookie_euconsent_v2
            purposes=1,3,4 vendor=755;
        klaviyo_consent_string $tcf_given tcf $cookie_euconsent_v2;
        klaviyo_consent_string $gpp gpp $arg_gpp;
        klaviyo_consent_string $onetrust onetrust $cookie_OptanonConsent;
        klaviyo_consent_string $functional onetrust $cookie_OptanonConsent
            groups=C0002,C0003;
        klaviyo_consent_string $cookiebot cookiebot $cookie_CookieConsent;
        klaviyo_consent_string $complianz complianz $cookie_cmplz_marketing;
        klaviyo_consent_string $usercentrics usercentrics $cookie_uc
            services=Klaviyo;
        klaviyo_consent_string $shopify shopify $cookie__tracking_consent;
        klaviyo_consent_string $analytics shopify $cookie__tracking_consent
            categories=analytics;

        klaviyo_profile external_id x;
        klaviyo_skip off;
END
    server => <<'END');
        location / {
            return 200 "tcf=$tcf given=$tcf_given gpp=$gpp onetrust=$onetrust functional=$functional cookiebot=$cookiebot complianz=$complianz usercentrics=$usercentrics shopify=$shopify analytics=$analytics\n";
        }

        location /tracked {
            klaviyo_consent $onetrust;
            klaviyo_track Agreed;
            return 200 "";
        }
END

$t->start;

my $tc = 'CQuf10AQuf10AEsACBENAwEgALAAAAAAAAYgF9wEAAAgADAAKAAcABIACwAGgAPA'
    . 'AiABMACoC8wF6gL3AXyAvsAAAAAA.YAAAAAAAAAAA';
my $none = 'CQuf10AQuf10AEsACBENAwEgAAAAAAAAAAYgAAAAAAAA.YAAAAAAAAAAA';

# what differs from nothing at all
sub says {
    my ($path, $cookie) = @_;

    my $answer = $t->get($path, defined $cookie ? (Cookie => $cookie) : ());

    return join ' ', grep { !/=$/ } split /\s+/, $answer->body;
}

is says('/'), '', 'nothing';
is says('/', "a=b; euconsent-v2=$tc"), '', 'nginx has no such cookie';
is says('/', "euconsent_v2=$tc"), 'tcf=1 given=1', 'tcf: yes';
is says('/', "euconsent_v2=$none"), 'tcf=0 given=0', 'tcf: no';
is says('/', 'euconsent_v2=' . substr $tc, 0, 30), '', 'tcf: cut';
is says('/?gpp=DBABLA~CVQqAAAAAACA.QA'), 'gpp=1', 'gpp: yes';
is says('/?gpp=DBABLA~CVQqAAAAAACA.YA'), 'gpp=0', 'gpp: no';
is says('/', 'OptanonConsent=isGpcEnabled=0&version=202602.1.0&groups='
    . 'C0001%3A1%2CC0002%3A1%2CC0003%3A1%2CC0004%3A0&geolocation=DE%3BBE'),
    'onetrust=0 functional=1', 'onetrust';
is says('/', 'CookieConsent={stamp:%27x%27%2Cnecessary:true%2Cpreferences:'
    . 'false%2Cstatistics:false%2Cmarketing:true%2Cmethod:%27explicit%27}'),
    'cookiebot=1', 'cookiebot';
is says('/', 'cmplz_marketing=deny'), 'complianz=0', 'complianz';
is says('/', 'uc=%7B%22consent%22%3A%7B%22services%22%3A%7B%22a%22%3A%7B%22'
    . 'name%22%3A%22Klaviyo%22%2C%22consent%22%3Atrue%7D%7D%7D%7D'),
    'usercentrics=1', 'usercentrics';
is says('/', '_tracking_consent=3.AmPS_DEBE_f_f_x'), 'shopify=0 analytics=1',
    'shopify';
is says('/', '_tracking_consent=%7B%22con%22%3A%7B%22CMP%22%3A%7B%22a%22%3A'
    . '%220%22%2C%22m%22%3A%221%22%7D%7D%7D'), 'shopify=1 analytics=0',
    'shopify in JSON';
is says('/', 'OptanonConsent=' . 'x' x 3000), '', 'long and nothing';


# klaviyo_consent

$t->get('/tracked', Cookie => "OptanonConsent=groups=C0004%3A$_") for 0, 1, 2;
$t->get('/tracked');

my $events = $t->wait_events(1);

is scalar @$events, 1, 'one agreed';
is $t->account('shop')->{reasons}{skipped}{consent}, 3, 'three did not';

$t->stop;


for my $case (
    ['no variable', 'x tcf $uri', qr/invalid variable name "x"/],
    ['no format', '$x tcf1 $uri', qr/invalid format "tcf1" of a consent/],
    ['no services', '$x usercentrics $uri', qr/"usercentrics" needs "serv/],
    ['a parameter of another', '$x tcf $uri groups=C1',
        qr/invalid parameter "groups=C1": the format "tcf" takes "purposes="/],
    ['one too much', '$x complianz $uri groups=C1', qr/"complianz" takes none/],
    ['no purpose', '$x tcf $uri purposes=1,25', qr/"purposes=1,25": write/],
    ['no number', '$x tcf $uri purposes=1,', qr/"purposes=1,": write the num/],
    ['no vendor', '$x tcf $uri vendor=0', qr/"vendor=0": a vendor is its num/],
    ['no category', '$x shopify $uri categories=sale', qr/"categories=sale": w/],
    ["nor one of Cookiebot's", '$x cookiebot $uri categories=marketing,ads',
        qr/"categories=marketing,ads": write 1 to 16 names/],
    ['an empty name', '$x onetrust $uri groups=C1,,C2', qr/"groups=C1,,C2": w/],
    ['twice', '$x tcf $uri purposes=1 purposes=2', qr/duplicate parameter "pu/],
    ['a variable twice', '$uri tcf $uri', qr/variable "\$uri" is there alre|du/],
) {
    my ($what, $line, $expected) = @$case;
    my ($code, $output) = config_test(
        http => "klaviyo_consent_string $line;");

    isnt $code, 0, "$what: refused";
    like $output, $expected, "$what: says so";
}

done_testing;
