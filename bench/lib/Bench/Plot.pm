package Bench::Plot;

# The plot: requests per second of each variant as a part of the untracked
# ones, a bar each, with the middle half of the rounds as a line across its
# end.

use v5.32;
use warnings;
use utf8;

use constant {
    LEFT   => 250,
    WIDTH  => 520,
    BAR    => 20,
    GAP    => 8,
    TOP    => 56,
};

my %LABEL = (
    untracked  => 'untracked',
    floor      => 'one event copied, always the same',
    bare       => 'klaviyo_track, bare',
    ten        => 'klaviyo_track, ten properties',
    access_log => 'access_log, JSON, buffered',
    syslog     => 'access_log syslog:',
    mirror     => 'mirror to a collector',
    lua        => 'log_by_lua, timer, socket',
    njs        => 'njs, detached subrequest',
);


sub requests {
    my ($requests, $machine) = @_;

    my @order  = @{ $requests->{order} };
    my $panel  = 34 + @order * (BAR + GAP) + 30;
    my $height = TOP + 2 * $panel + 14 * @$machine + 16;
    my $width  = LEFT + WIDTH + 90;
    my $y      = TOP;

    my $svg = <<"END";
<svg xmlns="http://www.w3.org/2000/svg" width="$width" height="$height" viewBox="0 0 $width $height" font-family="sans-serif" font-size="13">
<rect width="$width" height="$height" fill="#ffffff"/>
<text x="16" y="28" font-size="17" font-weight="bold" fill="#222222">Requests per second, as a part of the untracked ones</text>
END

    for my $page (qw(static proxied)) {
        $svg .= _text(16, $y + 18, $page eq 'static'
            ? 'A static file of 4 KB' : 'A proxied page of 4 KB',
            'font-weight="bold"');

        my $first = $y + 34;
        my $last  = $first + @order * (BAR + GAP);

        for my $tick (map { $_ / 4 } 0 .. 4) {
            my $x = _x($tick);

            $svg .= qq(<line x1="$x" y1="$first" x2="$x" y2="$last")
                . qq( stroke="#dddddd"/>\n)
                . _text($x, $last + 15, $tick, 'text-anchor="middle"'
                    . ' font-size="11"');
        }

        my $at = $first + GAP / 2;

        for my $name (@order) {
            my $rps = $requests->{pages}{$page}{$name}{rps};

            $svg .= _bar($at, $name, $rps);
            $at += BAR + GAP;
        }

        $y += $panel;
    }

    for my $line (@$machine) {
        $svg .= _text(16, $y + 10, $line, 'font-size="11"');
        $y += 14;
    }

    return "$svg</svg>\n";
}


sub _bar {
    my ($y, $name, $rps) = @_;

    my ($median, $low, $high) = @{ $rps->{ratio} }{qw(median low high)};

    my $colour = $name eq 'untracked'     ? '#9aa5b1'
        : $name =~ /^(?:bare|ten)$/       ? '#1f7a4d' : '#b9793b';
    my $end    = _x($median);
    my $middle = $y + BAR / 2;

    my $svg = _text(LEFT - 10, $y + 15, $LABEL{$name} // $name,
                    'text-anchor="end"')
        . sprintf(qq(<rect x="%.1f" y="%.1f" width="%.1f" height="%d")
            . qq( fill="%s"/>\n), LEFT, $y, $end - LEFT, BAR, $colour);

    if ($high > $low) {
        $svg .= sprintf qq(<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f")
            . qq( stroke="#222222" stroke-width="2"/>\n),
            _x($low), $middle, _x($high), $middle;
    }

    my $label = _x($high > $median ? $high : $median) + 6;

    return $svg . _text($label, $y + 15, sprintf('%.3f', $median),
                        'font-size="12"');
}


# up to 1.05 of the untracked ones
sub _x {
    my ($ratio) = @_;

    return sprintf '%.1f', LEFT + WIDTH * ($ratio > 1.1 ? 1.1 : $ratio) / 1.05;
}


sub _text {
    my ($x, $y, $text, $more) = @_;

    $text =~ s/&/&amp;/g;
    $text =~ s/</&lt;/g;

    return qq(<text x="$x" y="$y" fill="#222222" $more>$text</text>\n);
}


1;
