package Klaviyo::Test::Recipe;

# Configurations of docs/cookbook.md and t/shops/*.conf as nginx of the harness
# runs them.
#
#   my %part = recipe_parts($text);     # (http => ..., server => ...)
#   $t->file('fastcgi_params', fastcgi_params());
#
# What stands below "# in http { }" and "# in server { }", with what belongs
# to a machine put in: in an account's block where the sandbox is; the folders
# of keys, of caches, and of the shop (%%DIR%%/klaviyo, %%DIR%%,
# %%DIR%%/www); PHP's socket (%%DIR%%/php.sock); the port of the
# application (%%PORT_APP%%).

use v5.32;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(recipe_parts fastcgi_params);

my $account = <<'END';
    endpoint %%ENDPOINT%%;
    queue %%QUEUE_DIR%%/%%NAME%%.ring size=8m;
    spool %%DIR%%/%%NAME%%;
    batch linger=20ms;
    retry min=50ms max=1s;
END


sub recipe_parts {
    my ($text) = @_;

    my %part = (http => '', server => '');
    my $name;

    for my $line (split /^/, $text) {
        if ($line =~ /^# in (http|server) \{ \}$/) {
            $name = $1;

        } elsif (defined $name) {
            $part{$name} .= $line;

        } else {
            die "a line belongs nowhere: $line";
        }
    }

    $part{http} =~ s{^klaviyo_account (\w+) \{\n\K}
                    {my $name = $1; $account =~ s/%%NAME%%/$name/gr}gem;

    for (values %part) {
        s{/etc/nginx/klaviyo/}{%%DIR%%/klaviyo/}g;
        s{/var/cache/nginx/}{%%DIR%%/}g;
        s{/var/www/shop\b}{%%DIR%%/www}g;
        s{unix:/run/php/php-fpm\.sock}{unix:%%DIR%%/php.sock}g;
        s{127\.0\.0\.1:(?:3000|8000|8080)\b}{127.0.0.1:%%PORT_APP%%}g;
    }

    return %part;
}


# what nginx's file of that name has
sub fastcgi_params {
    return join '', map { "fastcgi_param $_;\n" } (
        'QUERY_STRING $query_string', 'REQUEST_METHOD $request_method',
        'CONTENT_TYPE $content_type', 'CONTENT_LENGTH $content_length',
        'SCRIPT_NAME $fastcgi_script_name', 'REQUEST_URI $request_uri',
        'DOCUMENT_URI $document_uri', 'DOCUMENT_ROOT $document_root',
        'SERVER_PROTOCOL $server_protocol', 'REQUEST_SCHEME $scheme',
        'GATEWAY_INTERFACE CGI/1.1', 'REMOTE_ADDR $remote_addr',
        'SERVER_NAME $server_name', 'SERVER_PORT $server_port',
        'REDIRECT_STATUS 200',
    );
}


1;
