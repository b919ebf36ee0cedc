#!/usr/bin/perl

# 3. Capture alone: c/capture.c says what is in it, and what is not.

use v5.32;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use Mojo::JSON qw(decode_json);

use Bench;
use Klaviyo::Test::Process qw(run);

my $bench = Bench->new;

my ($code, $output) = run($bench->program('capture'), $bench->{memory},
                          $bench->{quick} ? 'quick' : ());

die "capture failed:\n$output\n" if $code;

$bench->save(capture => decode_json($output));
