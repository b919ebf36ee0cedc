#!/usr/bin/perl

# klaviyo_status: the same figures as JSON, for Prometheus and as a page, and
# which of them a request gets.

use lib 't/lib';
use Klaviyo::Test;

use FindBin;
use Mojo::DOM;
use Mojo::JSON qw(decode_json);

use constant {
    TEXT     => 'text/plain; version=0.0.4; charset=utf-8',
    HTML     => 'text/html; charset=utf-8',
    JSON     => 'application/json',
    COUNTERS => 4 * 4096,            # where they begin in a ring's file
};

# what the module promises to Prometheus: these names stay

my @counters = map { "nginx_klaviyo_${_}_total" } qw(
    events_captured events_delivered events_dry_run events_dead events_lost
    events_handed_over
    requests_skipped values_left_out values_changed
    delivery_requests delivery_replies delivery_events_retried
    delivery_elections delivery_breaker_opened delivery_events_set_aside
    delivery_superseded
    webhook_calls
    gateway_requests gateway_ended gateway_retried gateway_throttled
    gateway_refused_connections
    enrich_requests enrich_ended enrich_not_asked
    spool_events_written spool_segments_abandoned spool_errors spool_full
    dead_letters_written dead_letters_dropped_by_rotation dead_letters_errors
    hold_held hold_released hold_expired hold_lost pages response_bodies
);

my @gauges = map { "nginx_klaviyo_$_" } qw(
    delivery_single_waits_seconds delivery_bulk_waits_seconds
    delivery_last_success_timestamp_seconds
    delivery_failing_since_timestamp_seconds delivery_oldest_waiting_seconds
    delivery_captured_per_minute delivery_delivered_per_minute state
    info events_queued delivery_deliverer_pid delivery_paused_seconds
    queue_size_bytes queue_used_bytes queue_attached
    spool_used_bytes spool_events spool_size_bytes
    hold_waiting hold_size_bytes hold_used_bytes hold_attached
);

my $name  = 'x' x 64;
my $forms = q{
    location = /any        { klaviyo_status; }
    location = /json       { klaviyo_status json; }
    location = /prometheus { klaviyo_status prometheus; }
    location = /html       { klaviyo_status html; }
    location = /if         { klaviyo_status html; if ($arg_a) { set $b c; } }
};


# outcomes and counters as klaviyo_figures.h has them: [group, name], ...
sub figures {
    my ($table) = @_;

    open my $in, '<', "$FindBin::Bin/../ngx_klaviyo_module/queue/"
        . 'klaviyo_figures.h' or die $!;
    my $text = do { local $/; <$in> };
    close $in;

    my ($rows) = $text =~ /#define \Q$table\E\(X\)(.*?)\n\n/s or die $table;
    my @figures;

    push @figures, [$1, $2] while $rows =~ /X\(\w+,\s*"(\w+)",\s*"(\w+)"\)/g;

    return @figures;
}


# the counters of a ring, while nginx has it mapped
sub write_counters {
    my ($ring, @values) = @_;

    open my $out, '+<:raw', $ring or die "$ring: $!";
    seek $out, COUNTERS, 0 or die $!;
    print $out pack 'Q<*', @values;
    close $out or die $!;

    return;
}


# the figures of an account in the JSON: path => value
sub leaves {
    my ($tree, $path) = @_;

    return $path => 0 + $tree if ref $tree ne 'HASH';

    return map { leaves($tree->{$_}, defined $path ? "$path/$_" : $_) }
        keys %$tree;
}


# what promtool would look at; series => value; without histograms and events
# by metric, see t/grafana.t and t/metrics.t
sub read_metrics {
    my ($text) = @_;

    my (%type, %help, %value, $family, @wrong);

    push @wrong, 'no line end' if $text !~ /\n\z/;

    for (split /\n/, $text) {
        next if /^(?:\#\ \w+\ )?nginx_klaviyo_(?:metric_events_captured_total
            |delivery_(?:batch_events|request_duration_seconds|delay_seconds)
             (?:_bucket|_sum|_count)?)\b/x;

        if (/^# HELP ([a-zA-Z_:][\w:]*) (\S.*\S)$/) {
            ($family, my $help) = ($1, $2);

            push @wrong, "HELP again: $_" if $help{$family}++;
            push @wrong, "bad HELP: $_"   if $help =~ /\\(?![\\n])/;

        } elsif (/^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge)$/) {
            my ($of, $type) = ($1, $2);

            push @wrong, "TYPE again: $_"        if $type{$of};
            push @wrong, "TYPE without HELP: $_" if $of ne ($family // '');
            push @wrong, "its name: $_"
                if $type eq 'counter' xor $of =~ /_total$/;

            $type{$of} = $type;

        } elsif (/^([a-zA-Z_:][\w:]*)\{((?:[a-zA-Z_]\w*="(?:[^"\\]|\\[\\n"])*"
                  (?:,(?=[a-z])|(?=\})))+)\}\ (\d+)$/x)
        {
            my ($sample, $labels, $value) = ($1, $2, $3);

            push @wrong, "not in its family: $_"
                if $sample ne ($family // '') || !$type{$sample};
            push @wrong, "twice: $_" if exists $value{"$sample\{$labels}"};
            push @wrong, "a label twice: $_"
                if $labels =~ /\b(\w+)=.*,\1=/;
            $value{"$sample\{$labels}"} = $value;

        } else {
            push @wrong, "what is this: $_";
        }
    }

    return \%value, \%type, \@wrong;
}


# of an account: family => value, or family/label's value => value
sub of_account {
    my ($metrics, $account) = @_;

    my %value;

    for (keys %$metrics) {
        next if !/^nginx_klaviyo_(\w+?)(?:_total)?
                  \{account="\Q$account\E"(?:,\w+="(\w+)")?\}$/x;
        $value{ defined $2 ? "$1/$2" : $1 } = $metrics->{$_};
    }

    return \%value;
}


# of an account on the page: "group/name" => value
sub of_page {
    my ($page, $account) = @_;

    my %value;
    my $section = Mojo::DOM->new($page)->find('section')
        ->first(sub { $_->at('h2')->text eq $account });

    for my $table ($section->find('table')->each) {
        my $group = $table->at('caption')->text;

        for my $row ($table->find('tr')->each) {
            $value{ "$group/" . $row->at('th')->text } =
                $row->at('data')->{value};
        }
    }

    return \%value;
}


# all forms of the same moment: JSON, the text for Prometheus, the page
sub readings {
    my ($t) = @_;

    my @readings;

    for (1 .. 10) {
        @readings = map { $t->get("/$_")->body } qw(json prometheus html);
        last if $readings[0] eq $t->get('/json')->body;
    }

    return @readings;
}


sub wrong_lines {
    my ($t) = @_;

    return Mojo::DOM->new($t->get('/html')->body)->find('.wrong li')
        ->map(sub { $_->{class} . ': ' . $_->all_text })->each;
}


subtest 'every figure, in every form' => sub {
    my $t = Klaviyo::Test->new(
        account => 'hold 30m;',
        http    => qq{
            klaviyo_account_default shop;
            klaviyo_account $name {
                api_key pk_other_0123456789;
                endpoint %%ENDPOINT%%;
                queue %%QUEUE_DIR%%/other.ring size=256k;
                spool off;
            }
        },
        server => $forms);

    $t->start;
    ok wait_for(5, sub {
        !grep { !$t->account($_)->{delivery}{deliverer} } 'shop', $name;
    }), 'somebody delivers';

    # each counter a number of its own, but what the spool sets anew

    my @figures = figures('KLAVIYO_COUNTERS');
    my @values  = map { 10_001 + 7 * $_ } 0 .. $#figures;

    $values[$_] = 0
        for grep { "@{ $figures[$_] }" eq 'spool bytes_used' } 0 .. $#figures;

    write_counters($t->queue, @values);

    my %json = leaves(decode_json($t->get('/json')->body)->{accounts}{shop});
    my @missing;

    $json{ s{^reasons/}{}r } = delete $json{$_} for keys %json;

    for my $i (0 .. $#figures) {
        my $path = join '/', @{ $figures[$i] };

        push @missing, $path if ($json{$path} // -1) != $values[$i];
    }

    is "@missing", '', 'each counter of the ring is in the JSON';

    is_deeply [grep { !exists $json{$_} }
               map { $_->[0] eq $_->[1] ? $_->[0] : join '/', @$_ }
               figures('KLAVIYO_OUTCOMES')], [], 'and each outcome';

    my %seen;

    for my $account ('shop', $name) {
        my ($json, $text, $html) = readings($t);
        my %leaves = leaves(decode_json($json)->{accounts}{$account});
        delete @leaves{ grep { m{^metrics/} } keys %leaves };

        my ($all, $type, $wrong) = read_metrics($text);
        my $metrics = of_account($all, $account);
        my $page    = of_page($html, $account);

        is_deeply $wrong, [], "$account: Prometheus can read that";

        # the values of each are those of the other, and where a figure has
        # a label that is its name

        my %json = %leaves;

        delete @json{qw(dead lost)};            # the sums

        is_deeply [sort { $a <=> $b } values %$metrics],
            [sort { $a <=> $b } values %json],
            "$account: the same values for Prometheus";

        my %named = map { (m{([^/]+)$})[0] . " $json{$_}" => 1 } keys %json;

        is_deeply [grep { m{/(.*)} && !$named{"$1 $metrics->{$_}"} }
                   keys %$metrics], [], "$account: under their names";

        is_deeply $page, { map {
            my $path = $_;
            $path =~ s{^reasons/}{};
            $path =~ s{^(?=[^/]+$)}{events/};
            $path => $leaves{$_};
        } keys %leaves }, "$account: the same on the page";

        $seen{$_} = $type->{$_} for keys %$type;
    }

    is_deeply \%seen, { (map { $_ => 'counter' } @counters),
        (map { $_ => 'gauge' } @gauges) }, 'the names are what they were';

    my ($metrics) = read_metrics($t->get('/prometheus')->body);

    is $metrics->{'nginx_klaviyo_info{version="'
        . $t->status->{version} . '",nginx="' . $t->status->{nginx} . '"}'},
        1, 'the versions';
    is $metrics->{'nginx_klaviyo_queue_attached{account="shop"}'}, 1,
        'a state is 0 or 1';
    is $metrics->{'nginx_klaviyo_queue_size_bytes{account="shop"}'},
        8 * 1024 * 1024, 'bytes';
    is $metrics->{'nginx_klaviyo_delivery_deliverer_pid{account="shop"}'},
        $t->account->{delivery}{deliverer}, 'who delivers';
    is $metrics->{'nginx_klaviyo_events_lost_total{account="shop",'
        . 'reason="queue_busy"}'}, $values[1], 'a reason';
    ok !(grep { /^nginx_klaviyo_(?:spool|dead_letters|hold)_.*\Q$name\E/ }
         keys %$metrics),
        'nothing of what an account does not have';

    # the greatest numbers fit

    write_counters($_, (~0) x @figures)
        for $t->queue, $t->queue =~ s{[^/]+$}{other.ring}r;

    for my $form (qw(json prometheus html)) {
        my $answer = $t->get("/$form");

        is $answer->status, 200, "$form: the greatest numbers";
        like $answer->body, qr/18446744073709551615/, 'are there';
        unlike $answer->body, qr/pk_|\Q@{[$t->key]}\E/, 'and no key';
    }

    write_counters($_, (0) x @figures)
        for $t->queue, $t->queue =~ s{[^/]+$}{other.ring}r;

    $t->stop;
};


subtest 'what is wrong' => sub {
    my $t = Klaviyo::Test->new(
        http => q{
            klaviyo_profile email $arg_email;
            klaviyo_account_default shop;
            klaviyo_account other {
                api_key pk_nobody_knows;
                endpoint %%ENDPOINT%%;
                queue %%QUEUE_DIR%%/other.ring size=256k;
                spool off;
                batch linger=50ms;
            }
        },
        server => qq{
            $forms
            location = /shop  { klaviyo_track A; return 200; }
            location = /other { klaviyo_track A account=other; return 200; }
        });

    $t->start;
    ok wait_for(5, sub { !wrong_lines($t) }), 'nothing at first';
    like $t->get('/html')->body, qr/All is well/, 'it says so';

    # the far end's words are hostile, and none of them gets here

    $t->sandbox->fault(account => 'shop', kind => 'status', status => 429,
        times => 1, retry_after => 100, body => '<script>alert(1)</script>');

    $t->get('/other?email=a@shop.test');
    $t->get('/shop?email=b@shop.test');

    ok wait_for(10, sub { wrong_lines($t) == 3 }), 'three lines';

    my @lines = wrong_lines($t);

    like $lines[0], qr/^now: shop, now: Klaviyo throttles.* \d{2,3} s$/,
        'paused';
    like $lines[1], qr/^now: other, now: Klaviyo refuses the key$/,
        'a key that Klaviyo does not know, now';
    like $lines[2], qr/^once: other, so far: requests .* a wrong key.*: \d+; /,
        'a key that Klaviyo does not know';

    my $page = $t->get('/html')->body;

    unlike $page, qr/All is well/, 'not all is well';
    cmp_ok index($page, 'class="now"'), '<', index($page, '<section'),
        'on top';
    unlike $page, qr/<script|alert\(1\)/, 'no word of the far end';

    my ($metrics) = read_metrics($t->get('/prometheus')->body);

    cmp_ok $metrics->{'nginx_klaviyo_delivery_paused_seconds{'
        . 'account="shop"}'}, '>', 50, 'Prometheus knows: paused';
    cmp_ok $metrics->{'nginx_klaviyo_delivery_replies_total{'
        . 'account="other",result="blocked"}'}, '>', 0, 'and the key';

    # a file that was cut

    truncate $t->queue =~ s{[^/]+$}{other.ring}r, 4096 or die $!;

    ok wait_for(5, sub { grep { /^now: other, .*damaged/ } wrong_lines($t) }),
        'a queue without its file';

    ($metrics) = read_metrics($t->get('/prometheus')->body);

    is $metrics->{'nginx_klaviyo_queue_attached{account="other"}'}, 0,
        'a state that is 0';

    $t->allow(qr/other/);
    $t->stop;
};


my $t = Klaviyo::Test->new(server => $forms);

$t->start;


subtest 'the page' => sub {
    my $page = $t->get('/html')->body;

    like $page, qr/\A<!DOCTYPE html>\n/, 'is HTML';
    unlike $page, qr/<script|\bon\w+=|javascript:|\@import|url\(/i,
        'runs nothing';
    is_deeply [grep { $_ ne 'data:,' } $page =~ /(?:src|href)="([^"]*)"/g],
        [], 'loads nothing';

    # every tag that was opened is closed, in that order

    my @open;
    my $nested = 1;

    while ($page =~ m{<(/?)(\w+)[^>]*>}g) {
        next if $2 =~ /^(?:meta|link)$/;

        if ($1) {
            $nested &&= @open && pop(@open) eq $2;

        } else {
            push @open, $2;
        }
    }

    ok $nested && !@open, 'its tags are in order';
};


subtest 'which form' => sub {
    my $browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,'
        . 'image/avif,image/webp,*/*;q=0.8';
    my $scraper = 'application/openmetrics-text;version=1.0.0;'
        . 'escaping=allow-utf-8;q=0.6,application/openmetrics-text;'
        . 'version=0.0.1;q=0.5,text/plain;version=1.0.0;'
        . 'escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';

    for my $case (
        ['/json', undef, JSON, ''], ['/html', undef, HTML, ''],
        ['/prometheus', undef, TEXT, ''],
        ['/json', $browser, JSON, ''], ['/prometheus', $browser, TEXT, ''],
        ['/html?format=json', JSON, HTML, ''], ['/if?a=1', undef, HTML, ''],

        ['/any?format=json', $browser, JSON, ''],
        ['/any?a=b&format=html', $scraper, HTML, ''],
        ['/any?format=prometheus', undef, TEXT, ''],

        ['/any', undef, JSON, 'Accept'], ['/any', '', JSON, 'Accept'],
        ['/any', '*/*', JSON, 'Accept'], ['/any', JSON, JSON, 'Accept'],
        ['/any', $browser, HTML, 'Accept'], ['/any', $scraper, TEXT, 'Accept'],
        ['/any', 'text/plain;version=0.0.4;q=1,*/*;q=0.1', TEXT, 'Accept'],
        ['/any', 'application/json, text/plain, */*', JSON, 'Accept'],
        ['/any', 'image/png', JSON, 'Accept'],
        ['/any?formats=html', '*/*', JSON, 'Accept'],
    ) {
        my ($path, $accept, $type, $vary) = @$case;
        my $answer = $t->get($path, defined $accept ? (Accept => $accept) : ());
        my $what = "$path, " . ($accept // 'no Accept');

        is $answer->status, 200, $what;
        is $answer->header('Content-Type'), $type, $type;
        is $answer->header('Vary') // '', $vary, 'Vary';
    }

    is $t->get('/any', Accept => 'image/png', Accept => 'text/plain')
        ->header('Content-Type'), TEXT, 'several headers';

    for my $format ('xml', '', 'JSON', 'json/', 'prometheus%00') {
        is $t->get("/any?format=$format")->status, 400, "?format=$format: 400";
    }
};


subtest 'methods' => sub {
    for my $path ('/json', '/prometheus', '/html', '/any') {
        my $head = $t->request(HEAD => $path);
        my $get  = $t->get($path);

        is $head->status, 200, "HEAD $path";
        is $head->body, '', 'no body';
        is $head->header($_), $get->header($_), $_
            for 'Content-Type', 'Vary';
        is $get->header('Content-Length'), length $get->body, 'its length';
        is $t->post($path, 'a')->status, 405, "POST $path";
    }
};

$t->stop;


subtest 'without an account' => sub {
    my $t = Klaviyo::Test->new(account => undef, server => $forms);

    $t->start;

    like $t->get('/json')->body, qr/"accounts":\{\}\}\n\z/, 'JSON';

    my ($metrics, undef, $wrong) =
        read_metrics($t->get('/prometheus')->body);

    is_deeply $wrong, [], 'Prometheus can read that';
    is scalar keys %$metrics, 1, 'the versions alone';
    is $t->get('/html')->status, 200, 'a page';

    $t->stop;
};


subtest 'the configuration' => sub {
    for my $case (
        ['klaviyo_status xml;', qr/\Q[emerg]\E.*invalid parameter "xml": /],
        ['klaviyo_status xml;',
         qr/form of "klaviyo_status" is "json", "prometheus" or "html" in /],
        ['klaviyo_status "";', qr/invalid parameter ""/],
        ['klaviyo_status json html;', qr/invalid number of arguments/],
        ['klaviyo_status; klaviyo_status;', qr/is duplicate/],
        ['klaviyo_status json; klaviyo_status html;', qr/is duplicate/],
        ['klaviyo_status html; klaviyo_status;', qr/is duplicate/],
    ) {
        my ($lines, $message) = @$case;
        my ($code, $output) =
            config_test(server => "location = /status { $lines }");

        isnt $code, 0, $lines;
        like $output, $message, 'says why';
    }

    my ($code, $output) = config_test(server => "klaviyo_status;");

    isnt $code, 0, 'not in a server';
};


done_testing;
