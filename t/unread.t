#!/usr/bin/perl

# Nobody, because what says who it is could not be read: the cause counts
# too, $klaviyo_captured says it, and the log says once a minute what to do.

use lib 't/lib';
use Klaviyo::Test;

use MIME::Base64 qw(encode_base64);


my $t = Klaviyo::Test->new(
    http => q{
        klaviyo_json   $email      $request_body /email;
        klaviyo_form   $form_email $request_body email;
        klaviyo_form   $form_list  $request_body email list;
        klaviyo_cookie $customer   customer;
        klaviyo_json   $customer_id $customer /id;

        log_format captured '$request_uri $klaviyo_captured';

        klaviyo_skip off;
        klaviyo_defaults off;
    },
    server => <<'END');
        access_log %%DIR%%/captured.log captured;
        large_client_header_buffers 4 16k;
        client_body_buffer_size 1k;

        location /page {
            klaviyo_track Page;
            return 200 "";
        }

        location /json {
            klaviyo_request_body on;
            klaviyo_profile email $email;
            klaviyo_track Json;
            return 200 "";
        }

        location /form {
            klaviyo_request_body on;
            klaviyo_profile email $form_email;
            klaviyo_track Form;
            return 200 "";
        }

        location /list {
            klaviyo_request_body on;
            klaviyo_profile email $form_list;
            klaviyo_track Form;
            return 200 "";
        }

        location /kept {
            klaviyo_profile external_id $customer_id;
            klaviyo_track Kept;
            return 200 "";
        }

        location /named {
            klaviyo_response_header X-Event;
            add_header X-Event $http_x_event;
            return 200 "";
        }

        location /events {
            klaviyo_request_body on;
            klaviyo_track_json $request_body;
            return 200 "";
        }
END

$t->start;

sub counts {
    my $reasons = $t->account('shop')->{reasons};

    return {map { my $group = $_; map { ("$group $_" =>
        $reasons->{$group}{$_}) } keys %{ $reasons->{$group} } }
        qw(left_out skipped)};
}

sub captured {
    open my $in, '<', $t->dir . '/captured.log' or return;
    my @lines = <$in>;
    return @lines;
}

my $part = 'Content-Disposition: form-data; name="email"';
my $long = 'x' x 2000;

sub kla { return (Cookie => '__kla_id=' . encode_base64($_[0], '')) }

# what, path, body, headers, what $klaviyo_captured says, what else counts

my @cases = (
    ['a cookie that is no base64', '/page', undef, [Cookie => '__kla_id={}'],
        'cookie', 'left_out cookie'],
    ['a cookie of others', '/page', undef, [kla('{"user":7}')],
        'cookie', 'left_out cookie'],
    ['a cookie that is too long', '/page', undef,
        [Cookie => '__kla_id=' . 'A' x 3001], 'cookie_too_long',
        'left_out cookie_too_long'],
    ['a link', '/page?_kx=nonsense', undef, [], '_kx', 'left_out _kx'],
    ['an email of a link', '/page?utm_email=ann', undef, [],
        'email', 'left_out email'],
    ['an argument that is no base64', '/page?_ke=***', undef, [],
        '_ke', 'left_out _ke'],
    ['JSON that is none', '/json', '{"email":', [],
        'klaviyo_json', 'left_out klaviyo_json'],
    ['a form in its place', '/json', 'email=a%40shop.com', [],
        'klaviyo_json', 'left_out klaviyo_json'],
    ['a body that is too large', '/json', qq({"x":"$long"}), [],
        'request_body', 'left_out request_body'],
    ['one of a form', '/form', "x=$long", [],
        'request_body', 'left_out request_body'],
    ['one of events', '/events', qq([{"x":"$long"}]), [],
        'request_body', undef, 'left_out request_body'],
    ['JSON in the place of a form', '/form', '{"email":"a@shop.com"}', [],
        'klaviyo_form', 'left_out klaviyo_form'],
    ['half a form', '/form', "--b\r\n$part\r\n\r\na\@shop.com", [],
        'klaviyo_form', 'left_out klaviyo_form'],
    ['the head of one', '/list', "--b\r\n$part", [],
        'klaviyo_form', 'left_out klaviyo_form'],
    ['a form with other ends of lines', '/list', "--b\n$part\n\na\n--b--\n",
        [], 'klaviyo_form', 'left_out klaviyo_form'],
    ['a cookie of JSON', '/kept', undef, [Cookie => 'customer=%7B%22id'],
        'klaviyo_json', 'left_out klaviyo_json'],
    ['a header that is none', '/named', undef, [X_Event => 'x'],
        'header', undef, 'skipped header'],
    ['one with a profile that is none', '/named', undef,
        ['X-Event' => '{"metric":"A","profile":"a@shop.com"}'],
        'header', 'left_out header'],
    ['one with an email that is none', '/named', undef,
        ['X-Event' => '{"metric":"A","profile":{"email":["a@shop.com"]}}'],
        'header', 'left_out header'],
    ['one with other names', '/named', undef,
        ['X-Event' => '{"metric":"A","customer":{"email":"a@shop.com"}}'],
        'header', 'left_out header'],

    # nobody, and nothing that could have said who it is

    ['nobody', '/page', undef, [], 'anonymous'],
    ['nobody in JSON', '/json', '{"email":null}', [], 'anonymous'],
    ['nobody in a form', '/form', 'mail=a', [], 'anonymous'],
    ['nobody in parts', '/form',
        "--b\r\n$part\r\n\r\n\r\n--b--\r\n", [], 'anonymous'],
    ['an empty form', '/form', '', [], 'anonymous'],
    ['nobody in a header', '/named', undef,
        ['X-Event' => '{"metric":"A","profile":{"email":null}}'],
        'anonymous'],
);

for my $case (@cases) {
    my ($what, $path, $body, $headers, $cause, $counted, $alone) = @$case;

    my @headers = map { s/^X_/X-/r } @$headers;
    my $before  = counts();
    my $lines   = captured();

    defined $body ? $t->post($path, $body, @headers)
                  : $t->get($path, @headers);

    ok wait_for(5, sub { captured() > $lines }), "$what: logged";

    my $after = counts();
    my %count = map { $_ => $after->{$_} - ($before->{$_} // 0) }
        grep { $after->{$_} != ($before->{$_} // 0) } keys %$after;

    is((captured())[-1], "$path $cause\n", "$what: says why");
    is_deeply \%count, {
        $alone ? ($alone => 1) : ('skipped anonymous' => 1),
        $counted ? ($counted => 1) : (),
    }, "$what: counted";
}

for my $told (
    [qr/"cookie" of a visitor could not be read.*: see what writes it, or nam/,
        'a cookie'],
    [qr/"\$request_body" holds no JSON that klaviyo_json can read.*: see what/,
        'JSON'],
    [qr/"\$request_body" holds no form that klaviyo_form can read.*: see what/,
        'a form'],
    [qr/"client_body_buffer_size" is too small.*: raise it/, 'a large body'],
    [qr/"klaviyo_response_header" got an event of nobody.*: write who it is/,
        'a header'],
    [qr/"klaviyo_response_header" got a text that is neither an event/,
        'one that is none'],
) {
    my ($expected, $what) = @$told;
    my $n = () = $t->log =~ /\[warn\].*klaviyo: $expected/g;

    is $n, 1, "$what: told once a minute";
}

unlike $t->log =~ s/, client: .*//gr, qr/a\@shop/, 'nobody is named there';

# what people write is read in a cookie too

my $seen = 0;

for my $case (
    ['{"phone_number":"+44 7911 123456"}', {phone_number => '+447911123456'}],
    ['{"email":"info@b\u00fccher.example"}',
        {email => 'info@xn--bcher-kva.example'}],
    ["{\"email\":\"info\@b\xc3\xbccher.example\",\"first_name\":\"Ren\xe9\"}",
        {email => 'info@xn--bcher-kva.example',
         first_name => "Ren\x{fffd}"}],
) {
    my ($json, $expected) = @$case;

    $t->get('/page', kla($json));
    $t->wait_idle;

    is_deeply $t->sandbox->events->[$seen++]{profile}, $expected, $json;
}

$t->get('/page', kla('{"email":"a@shop.example","first_name":"' . 'x' x 600
    . '"}'));
$t->wait_idle;

is_deeply $t->sandbox->events->[$seen++]{profile}, {email => 'a@shop.example'},
    'a name that is too long is left out';
is counts()->{'left_out identifier'}, 1, 'and counted';

# a body may begin with empty lines

$t->post('/form', "\r\n--b\r\n$part\r\n\r\na\@shop.example\r\n--b--\r\n");
$t->wait_idle;

is $t->sandbox->events->[$seen++]{profile}{email}, 'a@shop.example',
    'a form behind an empty line';

$t->stop;

done_testing;
