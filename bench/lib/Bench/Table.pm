package Bench::Table;

# The figures as tables in markdown: all of them, the short form for the
# docs/performance.md, and the lines of the history.

use v5.32;
use warnings;
use utf8;

use Exporter qw(import);

our %NAME = (
    untracked   => 'untracked',
    floor       => 'one event copied, always the same',
    bare        => '**`klaviyo_track`, bare**',
    ten         => '**`klaviyo_track`, ten properties**',
    access_log  => '`access_log`, JSON, buffered',
    syslog      => '`access_log syslog:`',
    mirror      => '`mirror` to a collector',
    lua         => '`log_by_lua`, timer, pooled socket',
    njs         => 'njs, detached subrequest',
    healthy     => 'everything is well',
    hangs       => 'Klaviyo takes requests and never answers',
    refuses     => 'Klaviyo refuses connections',
    answers_503 => 'Klaviyo answers 503',
    no_dns      => 'the name server never answers',
    slow_disk   => 'Klaviyo hangs, and each sync of the spool\'s disk takes'
        . ' 300 ms longer',
);


sub all {
    my ($found, $machine) = @_;

    my @parts = (
        join('', map { "* $_\n" } @$machine),
        "## Targets\n\n" . targets($found),
    );

    push @parts, "## Requests\n\n" . requests($found->{requests})
        if $found->{requests};
    push @parts, "## Instructions of a request, in user space\n\n"
        . instructions($found->{instructions}) if $found->{instructions};
    push @parts, "## Capture alone\n\n" . capture($found->{capture})
        if $found->{capture};
    push @parts, "## Delivery\n\n" . delivery($found->{delivery})
        if $found->{delivery};
    push @parts, "## Trouble\n\n" . trouble($found->{trouble})
        if $found->{trouble};

    push @parts, "## Webhooks\n\n" . mappings($found->{mappings})
        if $found->{mappings};

    push @parts, "## Pages\n\n" . page($found->{page}) if $found->{page};

    push @parts, "## Fleet\n\n" . fleet($found->{fleet}) if $found->{fleet};

    return join "\n", @parts;
}


# for docs/performance.md
sub short {
    my ($found, $machine) = @_;

    my @parts = ('Measured on ' . join('; ', @$machine) . ".\n");

    push @parts, requests($found->{requests}) if $found->{requests};
    push @parts, targets($found);

    return join "\n", @parts;
}


sub requests {
    my ($requests) = @_;

    my $text = '';

    for my $page (qw(static proxied)) {
        my $of = $requests->{pages}{$page};

        $text .= "\n" if $text;
        $text .= ($page eq 'static' ? 'A static file of 4 KB'
                                    : 'A proxied page of 4 KB')
            . ' | requests/s | of untracked | worker\'s µs | user | system'
            . ' | faults a request | busy'
            . " | p50 µs | p99 µs | of untracked | p99.9 µs\n"
            . '---' . ' | --:' x 11 . "\n";

        for my $name (@{ $requests->{order} }) {
            my $v = $of->{$name};

            $text .= join(' | ', $NAME{$name},
                sprintf('%.0f', $v->{rps}{value}), ratio($v->{rps}{ratio}),
                sprintf('%.1f', $v->{cpu_us}{value}),
                map({ sprintf '%.1f', $v->{$_} } qw(user_us system_us)),
                sprintf('%.4f', $v->{faults}),
                sprintf('%.0f %%', 100 * $v->{busy}),
                map({ sprintf '%.0f', $v->{$_}{value} } qw(p50 p99)),
                ratio($v->{p99}{ratio}),
                sprintf('%.0f', $v->{p999}{value})) . "\n";
        }
    }

    $text .= "\n" . steady($requests->{pages}{static}, $requests->{order});

    return $text . "\nRatios: the median of $requests->{rounds} rounds, and"
        . " the middle half of them. Worker's µs: processor time of a request;"
        . " busy: how much of the processor the worker had.\n";
}


# of those that were measured so
sub steady {
    my ($of, $order) = @_;

    my $text = "The same at a steady rate | requests/s | p50 µs | p99 µs"
        . " | p99.9 µs | faults a request\n"
        . "--- | --: | --: | --: | --: | --:\n";

    for my $name (grep { $of->{$_}{steady} } @$order) {
        my $steady = $of->{$name}{steady};

        $text .= join(' | ', $NAME{$name},
            sprintf('%.0f', $steady->{rps}{median}),
            map { sprintf '%.0f (%.0f–%.0f)',
                  @{ $steady->{$_} }{qw(median low high)} }
            qw(p50 p99 p999)) . sprintf(" | %.4f\n",
            $steady->{faults}{median});
    }

    return $text;
}


sub ratio {
    my ($ratio) = @_;

    return sprintf '%.3f (%.3f–%.3f)', @{$ratio}{qw(median low high)};
}


sub instructions {
    my ($count) = @_;

    my $text = " | instructions | beyond untracked\n--- | --: | --:\n";

    for my $name (grep { $count->{$_} }
                  qw(untracked floor bare ten access_log)) {
        $text .= sprintf "%s | %.0f | %.0f\n", $NAME{$name},
            @{ $count->{$name} }{qw(total beyond)};
    }

    return $text . "\nBy function: [instructions.txt](instructions.txt).\n";
}


# what klaviyo_page costs
sub page {
    my ($page) = @_;

    my ($cost, $latency) = @{$page}{qw(cost latency)};
    my $hostile = $cost->{hostile};
    my ($worst) = sort { $hostile->{$b} <=> $hostile->{$a} } keys %$hostile;

    return "klaviyo_page | ns per KB, median | least\n--- | --: | --:\n"
        . join('', map { sprintf "%s | %.0f | %.0f\n", $_,
            @{ $cost->{$_} }{qw(median least)} }
            qw(on jsonld microdata opengraph datalayer))
        . sprintf("\nOf %d pages. The longest that a piece of a hostile page"
            . " held the worker: %.1f ms (%s).\n", $cost->{pages},
            $hostile->{$worst} / 1000, $worst)
        . sprintf("\nA proxied page of %d KB | without | with | ratio\n"
            . "--- | --: | --: | --:\n", $page->{size} / 1024)
        . join('', map { sprintf "%s | %.0f | %.0f | %.3f (%.3f–%.3f)\n",
            $_ eq 'cpu' ? "worker's µs" : "$_ µs",
            @{ $latency->{$_} }{qw(without with)},
            @{ $latency->{$_}{ratio} }{qw(median low high)} }
            qw(p50 p99 cpu));
}


sub mappings {
    my ($found) = @_;

    my $text = "one call | bytes | µs of the worker, beyond reading it\n"
        . "--- | --: | --:\n";
    my %name = (shopify_100 => 'Shopify, 100 lines',
                pointers    => 'Shopify, one event by `klaviyo_json`');

    for my $case (sort keys %{ $found->{us} }) {
        $text .= sprintf "%s | %d | %.0f\n", $name{$case} // ucfirst $case,
            $found->{bytes}{ $case eq 'pointers' ? 'shopify' : $case },
            $found->{us}{$case};
    }

    return $text . "\nEvents by contrib/njs/klaviyo_webhooks.js, with their"
        . " capture and delivery.\n";
}


sub capture {
    my ($capture) = @_;

    my $text = "properties | bytes of a value | bytes of the event | encode"
        . " ns | encode and append ns\n--: | --: | --: | --: | --:\n";

    for my $c (@{ $capture->{encode} }) {
        $text .= join(' | ', @{$c}{qw(properties value_bytes event_bytes
            encode_ns both_ns)}) . "\n";
    }

    $text .= "\nwriters | µs between two appends | p50 ns | p99.9 ns | max ns"
        . " | lost\n--: | --: | --: | --: | --: | --:\n";

    for my $a (@{ $capture->{append} }) {
        $text .= join(' | ', @{$a}{qw(writers busy_us p50_ns p99_9_ns max_ns
            lost)}) . "\n";
    }

    return $text . sprintf "\nAppends: with %.0f ns for a look at the clock."
        . " Lost: the lock was not had within 5 ms, as the one who had it was"
        . " not running.\n", $capture->{clock_ns};
}


sub delivery {
    my ($d) = @_;

    my $text = "by | events/s | CPU s per million events\n--- | --: | --:\n"
        . sprintf("**the module, one worker, no rate limits** | %.0f | %.2f\n",
            @{ $d->{drain} }{qw(events_per_second cpu_per_million)});

    for my $mode (qw(bulk single)) {
        my $sdk = $d->{sdk}{$mode} // next;

        $text .= sprintf "Klaviyo's SDK for Node, `%s` | %.0f | %.2f\n",
            $mode eq 'bulk' ? 'bulkCreateEvents' : 'createEvent',
            @{$sdk}{qw(events_per_second cpu_per_million)};
    }

    $text .= sprintf "\nWith Klaviyo's limits, %.0f events/s for %d s: %.2f %%"
        . " of a processor; an idle worker: %.2f %%.\n\n",
        @{ $d->{ceiling} }{qw(events_per_second seconds)},
        100 * $d->{ceiling}{share}, 100 * $d->{ceiling}{idle_share};

    return $text . "queued, events of $d->{event_bytes} bytes | the worker's"
        . " own memory, KB\n--: | --:\n"
        . join('', map { "$_->{queued} | $_->{own_kb}\n" } @{ $d->{memory} });
}


sub trouble {
    my ($trouble) = @_;

    my $text = "| p50 µs | p99 µs | of a healthy run | p99.9 µs\n"
        . "--- | --: | --: | --: | --:\n";

    for my $name (@{ $trouble->{order} }) {
        my $t = $trouble->{trouble}{$name};

        $text .= join(' | ', $NAME{$name},
            map({ sprintf '%.0f', $t->{$_}{value} } qw(p50 p99)),
            ratio($t->{p99}{ratio}),
            sprintf('%.0f', $t->{p999}{value})) . "\n";
    }

    return $text . "\n$trouble->{rate} requests/s, all of them tracked.\n";
}


# what sharing by a Redis costs, and how soon what
sub fleet {
    my ($f) = @_;

    my ($mover, $delivered, $requests, $together)
        = @{$f}{qw(mover delivered requests together)};
    my @modes = ('none', 'share=limits', 'share=queue');
    my %name  = (none => 'no fleet', map { $_ => "`$_`" } @modes[1, 2]);

    return _table(_fleet_targets($f))
        . "\none host | requests/s | of no fleet | worker's µs a request"
        . " | worker's µs an event delivered | Redis's\n"
        . "--- | --: | --: | --: | --: | --:\n"
        . join('', map { sprintf "%s | %.0f | %s | %.1f | %.2f | %.2f\n",
            $name{$_}, $requests->{$_}{rps}, ratio($requests->{$_}{ratio}),
            $requests->{$_}{cpu_us},
            @{ $delivered->{$_} }{qw(cpu_us redis_us)} } @modes)
        . sprintf("\nAdded to Redis: %d events of %.0f bytes, compressed"
            . " %.0f, at %.0f events/s.\n", $mover->{events},
            @{$mover}{qw(event_bytes bytes events_per_second)})
        . sprintf("\n%d nginx, %d s, %.0f events/s: from capture to recorded"
            . " %.2f s (p50), %.2f s (p99), %.2f s (at most).\n",
            @{$together}{qw(hosts seconds events_per_second p50 p99 most)})
        . sprintf("\nRedis hangs | well | hung | ratio\n"
            . "--- | --: | --: | --:\n")
        . join('', map { sprintf "%s µs | %.0f | %.0f | %s\n", $_,
            @{ $f->{hung}{$_} }{qw(healthy hung)},
            ratio($f->{hung}{$_}{ratio}) } qw(p50 p99 p999));
}


# for docs/performance.md, with its goals
sub fleet_short {
    my ($f, $machine) = @_;

    return join "\n", 'Measured on ' . join('; ', @$machine) . ".\n",
        fleet($f);
}


sub _fleet_targets {
    my ($f) = @_;

    my ($rows, $row) = _rows();
    my $took = $f->{takeover};

    $row->('mover, processor of an event, µs', '≤', 3, $f->{mover}{cpu_us},
           '%.2f');
    $row->('Redis, processor of an event that is added, µs', '≤', 2,
           $f->{mover}{redis_us}, '%.2f');
    $row->('p99 of a request, Redis hung to healthy', '≤', 1.05,
           $f->{hung}{p99}{ratio}{median}, '%.3f');
    $row->('another delivers after a killed worker, s', '≤', 2,
           $took->{worker}{most}, '%.1f');
    $row->('after a killed host, s', '≤', 12, $took->{host}{most}, '%.1f');
    $row->('after an orderly stop, s', '≤', 1, $took->{stop}{most}, '%.1f');
    $row->("$f->{together}{hosts} nginx, requests a minute", '≤', 60,
           $f->{together}{requests_a_minute}, '%.0f');
    $row->('answers of 429', '≤', 0, $f->{together}{throttled}, '%.0f');
    $row->('from capture to recorded, p50, s', '≤', 1.2,
           $f->{together}{p50}, '%.2f');

    return @$rows;
}


# -> the rows, and who adds one: [what, target, measured, met], as text
sub _rows {
    my @rows;

    return \@rows, sub {
        my ($what, $sign, $target, $value, $format) = @_;

        my $met = $sign eq '≥' ? $value >= $target : $value <= $target;

        push @rows, [$what, sprintf("$sign $format", $target),
                     sprintf($format, $value), $met ? 'yes' : '**no**'];
    };
}


sub _targets {
    my ($found) = @_;

    my ($rows, $row) = _rows();

    if (my $r = $found->{requests}) {
        for my $page (qw(static proxied)) {
            my $of = $r->{pages}{$page};

            next if !$of->{ten} || !$of->{bare};

            $row->("requests/s, ten properties, $page", '≥', $page eq 'static' ? 0.93 : 0.99,
                   $of->{ten}{rps}{ratio}{median}, '%.3f');
            $row->("requests/s, bare, $page", '≥',
                   $page eq 'static' ? 0.93 : 0.99,
                   $of->{bare}{rps}{ratio}{median}, '%.3f');
            $row->("requests/s, ten properties to buffered `access_log`,"
                   . " $page", '≥', 1.10, $of->{ten}{rps}{ratio}{median}
                   / $of->{access_log}{rps}{ratio}{median}, '%.3f')
                if $of->{access_log};
            $row->("p99, ten properties, $page", '≤', 1.05,
                   $of->{ten}{p99}{ratio}{median}, '%.3f');
            $row->("page faults a request, ten properties, $page, steady rate",
                   '≤', 0.005, $of->{ten}{steady}{faults}{median}, '%.4f')
                if $of->{ten}{steady};
        }
    }

    if (my $n = $found->{instructions}) {
        $row->('instructions, bare', '≤', 6000, $n->{bare}{beyond}, '%.0f');
        $row->('instructions, ten properties', '≤', 12000,
               $n->{ten}{beyond}, '%.0f');
    }

    if (my $c = $found->{capture}) {
        my ($ten) = grep { $_->{properties} == 10 && $_->{value_bytes} == 16 }
            @{ $c->{encode} };

        $row->('capture of ten properties, ns', '≤', 1000, $ten->{both_ns},
               '%.0f');

        for my $a (grep { $_->{busy_us} } @{ $c->{append} }) {
            $row->("append, $a->{writers} writers, p50, ns", '≤', 250,
                   $a->{p50_ns}, '%.0f');
            $row->("append, $a->{writers} writers, p99.9, µs", '≤', 100,
                   $a->{p99_9_ns} / 1000, '%.1f');
        }
    }

    if (my $d = $found->{delivery}) {
        $row->('delivery, events/s', '≥', 100_000,
               $d->{drain}{events_per_second}, '%.0f');
        $row->('delivery at Klaviyo\'s ceiling, share of a processor, %', '≤',
               2, 100 * $d->{ceiling}{share}, '%.2f');
    }

    if (my $t = $found->{trouble}) {
        for my $name (grep { $_ ne 'healthy' } @{ $t->{order} }) {
            $row->("p99, $NAME{$name}", '≤', 1.1,
                   $t->{trouble}{$name}{p99}{ratio}{median}, '%.3f');
        }
    }

    return @$rows;
}


sub targets { return _table(_targets($_[0])) }


sub _table {
    return "what | target | measured | met\n--- | --: | --: | ---\n"
        . join '', map { join(' | ', @$_) . "\n" } @_;
}


my @HISTORY = (
    ['ten, static'    => requests => sub { ratio_of($_[0], 'static', 'ten') }],
    ['ten, proxied'   => requests => sub { ratio_of($_[0], 'proxied', 'ten') }],
    ['bare, static'   => requests => sub { ratio_of($_[0], 'static', 'bare') }],
    ['bare, proxied'  => requests => sub { ratio_of($_[0], 'proxied', 'bare') }],
    ['instructions, ten' => instructions =>
        sub { sprintf '%.0f', $_[0]{ten}{beyond} }],
    ['instructions, bare' => instructions =>
        sub { sprintf '%.0f', $_[0]{bare}{beyond} }],
    ['capture, ns'    => capture => sub { $_[0]{encode}[3]{both_ns} }],
    ['delivery, events/s' => delivery =>
        sub { sprintf '%.0f', $_[0]{drain}{events_per_second} }],
    ['CPU s a million' => delivery =>
        sub { sprintf '%.2f', $_[0]{drain}{cpu_per_million} }],
);


sub ratio_of {
    my ($requests, $page, $name) = @_;

    return sprintf '%.3f',
        $requests->{pages}{$page}{$name}{rps}{ratio}{median};
}


sub history_head {
    return "# What each change gained\n\nA line for each `make bench`: ratios"
        . " of requests/s to untracked, and what\nelse the targets are"
        . " about.\n\n"
        . join(' | ', 'date', 'commit', (map { $_->[0] } @HISTORY), 'what')
        . "\n" . join(' | ', '---', '---', ('--:') x @HISTORY, '---') . "\n";
}


sub history_line {
    my ($found, $date, $commit, $what) = @_;

    return join(' | ', $date, $commit, (map {
        my ($name, $part, $code) = @$_;
        $found->{$part} ? $code->($found->{$part}) : '–'
    } @HISTORY), $what) . "\n";
}


1;
