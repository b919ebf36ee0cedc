package Klaviyo::Test::Certificates;

# A certificate authority for one test, and server certificates of it.
#
#   my $ca = Klaviyo::Test::Certificates->new($folder);
#   my ($cert, $key) = $ca->issue('name');          # localhost, 127.0.0.1
#   $ca->issue('other', names => ['DNS:other.test']);
#   $ca->issue('old', expired => 1);
#   $ca->file                                       # for those who trust it

use v5.32;
use warnings;

use Klaviyo::Test::Process qw(run write_file);


sub new {
    my ($class, $folder) = @_;

    mkdir $folder;

    my $self = bless {folder => $folder}, $class;

    write_file("$folder/openssl.cnf", <<"END");
[ ca ]
default_ca = test
[ test ]
new_certs_dir = $folder
database = $folder/index.txt
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
[ any ]
commonName = supplied
[ req ]
distinguished_name = name
prompt = no
[ name ]
commonName = sandbox
END

    write_file("$folder/index.txt", '');

    _openssl('req', '-config', "$folder/openssl.cnf", '-x509', '-nodes',
        '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
        '-keyout', "$folder/ca.key", '-out', "$folder/ca.crt",
        '-days', '2', '-subj', '/CN=test authority',
        '-addext', 'basicConstraints=critical,CA:TRUE',
        '-addext', 'keyUsage=critical,keyCertSign,cRLSign');

    return $self;
}


sub file { return "$_[0]{folder}/ca.crt" }


# -> certificate file, key file
sub issue {
    my ($self, $name, %option) = @_;

    my $folder = $self->{folder};
    my $names  = join ',',
        @{ $option{names} // ['DNS:localhost', 'IP:127.0.0.1'] };

    _openssl('req', '-config', "$folder/openssl.cnf", '-new', '-nodes',
        '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
        '-keyout', "$folder/$name.key", '-out', "$folder/$name.csr",
        '-subj', "/CN=$name", '-addext', "subjectAltName=$names");

    my @gmtime = gmtime time - 86_400;
    my $day    = sprintf '%04d%02d%02d000000Z', $gmtime[5] + 1900,
        $gmtime[4] + 1, $gmtime[3];

    _openssl('ca', '-batch', '-notext', '-config', "$folder/openssl.cnf",
        '-cert', "$folder/ca.crt", '-keyfile', "$folder/ca.key",
        '-in', "$folder/$name.csr", '-out', "$folder/$name.crt",
        $option{expired}
            ? ('-startdate', '20200101000000Z', '-enddate', $day)
            : ('-days', '2'));

    return ("$folder/$name.crt", "$folder/$name.key");
}


sub _openssl {
    my (@arguments) = @_;

    my ($code, $output) = run('openssl', @arguments);

    die "openssl $arguments[0] failed:\n$output\n" if $code;

    return;
}


1;
