#!/usr/bin/perl

# The dashboard: it is what Grafana imports, each of its queries is one of
# Prometheus', and asks for figures and labels that are there.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(run read_file);

use FindBin;
use Mojo::JSON qw(decode_json encode_json);

my $text = read_file("$FindBin::Bin/../contrib/grafana/klaviyo.json");
my $board = decode_json($text);

sub number { return defined $_[0] && !ref $_[0] && encode_json([$_[0]]) =~ /^\[\d+\]$/ }
sub string { return defined $_[0] && !ref $_[0] && encode_json([$_[0]]) =~ /^\["/ }


subtest 'what Grafana imports' => sub {
    ok string($board->{$_}), $_ for qw(title uid timezone refresh);
    ok number($board->{$_}), $_ for qw(schemaVersion version);
    cmp_ok $board->{schemaVersion}, '>=', 36, 'with data sources as objects';
    like $board->{uid}, qr/^[\w-]{1,40}$/, 'a uid that it takes';
    ok !exists $board->{id}, 'no id of another Grafana';
    ok string($board->{time}{$_}), "time.$_" for qw(from to);
    is ref $board->{$_}, 'ARRAY', $_ for qw(panels tags links);
    is ref $board->{templating}{list}, 'ARRAY', 'templating';
    is ref $board->{annotations}{list}, 'ARRAY', 'annotations';

    my %variable = map { $_->{name} => $_ } @{ $board->{templating}{list} };

    is join(' ', sort keys %variable), 'account datasource', 'two variables';
    is $variable{datasource}{type}, 'datasource', 'where the figures are';
    is $variable{account}{type}, 'query', 'and whose';

    my (%id, %taken);

    for my $panel (@{ $board->{panels} }) {
        my $at = $panel->{gridPos};
        my $name = $panel->{title};

        ok string($panel->{$_}), "$name: $_" for qw(title type description);
        ok number($panel->{id}) && !$id{ $panel->{id} }++, "$name: its id";
        like $panel->{type}, qr/^(?:table|stat|timeseries|heatmap)$/,
            "$name: a panel that every Grafana has";
        ok !(grep { !number($at->{$_}) } qw(x y w h)), "$name: its place";
        cmp_ok $at->{x} + $at->{w}, '<=', 24, "$name: within 24 columns";
        is $panel->{datasource}{uid}, '${datasource}', "$name: the source";
        is ref $panel->{fieldConfig}{overrides}, 'ARRAY', "$name: its fields";

        for my $y ($at->{y} .. $at->{y} + $at->{h} - 1) {
            for my $x ($at->{x} .. $at->{x} + $at->{w} - 1) {
                fail("$name: lies upon another") if $taken{"$x $y"}++;
            }
        }

        my %ref;

        for my $target (@{ $panel->{targets} }) {
            ok string($target->{expr}) && string($target->{legendFormat}),
                "$name: a query";
            ok !$ref{ $target->{refId} }++, "$name: its letter";
            is $target->{datasource}{type}, 'prometheus', "$name: of whom";
        }
    }
};


my $t = Klaviyo::Test->new(server => q{
    klaviyo_profile email $arg_email;
    location / { klaviyo_track "Viewed Page"; return 204; }
    location = /metrics { klaviyo_track off; klaviyo_status prometheus; }
});

$t->start;
$t->get('/?email=a@shop.test');
$t->wait_events(1);
$t->wait_idle(slow(5));

my $metrics = $t->get('/metrics')->body;
my @query   = map { $_->{expr} } map { @{ $_->{targets} } }
    @{ $board->{panels} };

subtest 'the figures are there' => sub {
    for my $query (@query) {
        while ($query =~ /(nginx_klaviyo_\w+)/g) {
            like $metrics, qr/^\Q$1\E\{account="shop"/m, $1;
        }

        for my $labels ($query =~ /by \(([^()]*)\)/g) {
            for my $label (split /, */, $labels) {
                next if $label =~ /^(?:account|instance)$/;
                my ($name) = $query =~ /(nginx_klaviyo_\w+)/;
                like $metrics, qr/^\Q$name\E\{[^}]*\b$label="/m,
                    "$name has \"$label\"";
            }
        }
    }
};


subtest 'the queries are Prometheus\'' => sub {
    my ($promtool) = grep { -x } map { "$_/promtool" } nginx_modules(),
    split /:/, $ENV{PATH};

    plan(skip_all => 'promtool is not installed') if !$promtool;

    my $rules = '';

    for my $query (@query) {
        my $plain = $query;

        $plain =~ s/\$__(?:rate_interval|range)/5m/g;
        $plain =~ s/\$account/.*/g;
        $rules .= sprintf "  - {record: 'a:b', labels: {n: '%d'}, expr: %s}\n",
            length $rules, encode_json($plain) =~ s{\\/}{/}gr;
    }

    my $file = $t->file('queries.yml', "groups:\n- name: a\n  rules:\n$rules");
    my ($code, $out) = run($promtool, 'check', 'rules',
        $t->dir . '/queries.yml');

    is $code, 0, 'all of them' or diag $out;
};


subtest 'histograms' => sub {
    my $number = qr/\d+(?:\.\d+)?/;

    for my $name (qw(delivery_batch_events delivery_request_duration_seconds
                     delivery_delay_seconds))
    {
        my @bucket = $metrics
            =~ /^nginx_klaviyo_${name}_bucket\{account="shop",le="([^"]+)"\} (\d+)$/mg;
        my ($sum)   = $metrics =~ /^nginx_klaviyo_${name}_sum\{account="shop"\} ($number)$/m;
        my ($count) = $metrics =~ /^nginx_klaviyo_${name}_count\{account="shop"\} (\d+)$/m;

        is $count, 1, "$name: one";
        is $bucket[-2], '+Inf', '  with a last bound';
        is $bucket[-1], $count, '  which has all';
        ok defined $sum, '  with a sum';

        my @n = map { $bucket[2 * $_ + 1] } 0 .. $#bucket / 2;
        my @le = map { $bucket[2 * $_] } 0 .. $#bucket / 2 - 1;

        is_deeply [sort { $a <=> $b } @n], \@n, '  that grow';
        is_deeply [sort { $a <=> $b } @le], \@le, '  by bounds that grow';
    }

    like $metrics, qr/^nginx_klaviyo_delivery_batch_events_bucket\{account="shop",le="1"\} 1$/m,
        'one event in a request';
    like $metrics, qr/^nginx_klaviyo_metric_events_captured_total\{account="shop",metric="Viewed Page"\} 1$/m,
        'by its metric';
};

$t->stop;

done_testing;
