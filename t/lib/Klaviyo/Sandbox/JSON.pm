package Klaviyo::Sandbox::JSON;

# A strict reader of JSON for the sandbox.  It refuses what RFC 8259 refuses
# and what a receiver may refuse: bytes that are not UTF-8, a member named
# twice, half of a surrogate pair, a number that no double can hold.  Integers
# beyond 64 bits come back as an object of Klaviyo::Sandbox::JSON::Huge, so
# that the schema can point at them.

use v5.32;
use warnings;
no warnings 'recursion';

use Exporter   qw(import);
use Mojo::JSON ();

our @EXPORT_OK = qw(read_json);

use constant DEPTH_MAX => 100;

my %escape = (
    '"' => '"', '\\' => '\\', '/' => '/', b => "\b", f => "\f", n => "\n",
    r => "\r", t => "\t"
);

# RFC 3629: no overlong form, no surrogate; U+FFFE and U+FFFF are characters

my $utf8 = qr/(?: [\x00-\x7f]++
    | [\xc2-\xdf][\x80-\xbf]
    | \xe0[\xa0-\xbf][\x80-\xbf]
    | [\xe1-\xec\xee\xef][\x80-\xbf]{2}
    | \xed[\x80-\x9f][\x80-\xbf]
    | \xf0[\x90-\xbf][\x80-\xbf]{2}
    | [\xf1-\xf3][\x80-\xbf]{3}
    | \xf4[\x80-\x8f][\x80-\xbf]{2} )*+/x;

my $true  = Mojo::JSON->true;
my $false = Mojo::JSON->false;


# bytes -> value; dies with a short text that says what is wrong and where
sub read_json {
    my ($bytes) = @_;

    $bytes =~ /\A$utf8\z/ or die "not UTF-8\n";

    for ($bytes) {
        pos = 0;

        my $value = _value(0);

        /\G[\x20\t\n\r]*/gc;
        _wrong('something after the end') if pos() != length;

        return $value;
    }
}


sub _wrong {
    my ($what) = @_;

    die sprintf "%s at byte %d\n", $what, pos() // 0;
}


sub _value {
    my ($depth) = @_;

    /\G[\x20\t\n\r]*/gc;

    return _string() if /\G"/gc;

    if (/\G\{/gc) {
        _wrong('too many levels') if $depth >= DEPTH_MAX;

        my %object;

        return \%object if /\G[\x20\t\n\r]*\}/gc;

        while (1) {
            /\G[\x20\t\n\r]*"/gc or _wrong('a name expected');

            my $name = _string();

            _wrong("name \"$name\" repeated") if exists $object{$name};

            /\G[\x20\t\n\r]*:/gc or _wrong('":" expected');

            $object{$name} = _value($depth + 1);

            next             if /\G[\x20\t\n\r]*,/gc;
            return \%object  if /\G[\x20\t\n\r]*\}/gc;

            _wrong('"," or "}" expected');
        }
    }

    if (/\G\[/gc) {
        _wrong('too many levels') if $depth >= DEPTH_MAX;

        my @array;

        return \@array if /\G[\x20\t\n\r]*\]/gc;

        while (1) {
            push @array, _value($depth + 1);

            next           if /\G[\x20\t\n\r]*,/gc;
            return \@array if /\G[\x20\t\n\r]*\]/gc;

            _wrong('"," or "]" expected');
        }
    }

    return _number($1, $2)
        if /\G(-?(?:0|[1-9][0-9]*)((?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?))/gc;

    return $true  if /\Gtrue/gc;
    return $false if /\Gfalse/gc;
    return undef  if /\Gnull/gc;

    _wrong('a value expected');
}


# the opening quote is behind us
sub _string {
    my $text;

    if (/\G([^"\\\x00-\x1f]*)"/gc) {
        $text = $1;
        utf8::decode($text);
        return $text;
    }

    $text = '';

    while (1) {
        if (/\G([^"\\\x00-\x1f]+)/gc) {
            my $part = $1;
            utf8::decode($part);
            $text .= $part;
        }

        last if /\G"/gc;

        if (/\G\\(["\\\/bfnrt])/gc) {
            $text .= $escape{$1};

        } elsif (/\G\\u([dD][89abAB][0-9a-fA-F]{2})/gc) {
            my $high = hex $1;

            /\G\\u([dD][c-fC-F][0-9a-fA-F]{2})/gc
                or _wrong('half of a surrogate pair');

            $text .= chr(0x10000 + (($high - 0xd800) << 10)
                         + (hex($1) - 0xdc00));

        } elsif (/\G\\u([0-9a-fA-F]{4})/gc) {
            my $code = hex $1;

            _wrong('half of a surrogate pair')
                if $code >= 0xdc00 && $code <= 0xdfff;

            $text .= chr $code;

        } else {
            _wrong('bad character in a string');
        }
    }

    return $text;
}


sub _number {
    my ($text, $fraction) = @_;

    if ($fraction eq '') {
        my ($sign, $digits) = $text =~ /^(-?)([0-9]+)$/;
        my $max = $sign ? '9223372036854775808' : '9223372036854775807';

        if (length $digits > 19 || (length $digits == 19 && $digits gt $max))
        {
            return bless {text => $text}, 'Klaviyo::Sandbox::JSON::Huge';
        }

        return 0 + $text;
    }

    my $number = 0 + $text;

    _wrong('number out of range')
        if $number == 9**9**9 || $number == -9**9**9;

    return $number;
}


1;
