/*
 * A connection by TLS as two streams.  The certificate is verified, with the
 * name that was asked for.
 */


#ifndef KLAVIYO_CLI_TLS_H
#define KLAVIYO_CLI_TLS_H


#include <stdio.h>


#define KLAVIYO_CLI_TLS_ERROR  512


/*
 * `trusted` is a file of certificates, or NULL: those that the system trusts.
 * Nothing takes more than `wait` seconds.  0, or -1: `error` has why.  What is
 * closed last ends the connection.
 */
int klaviyo_cli_tls_open(FILE **in, FILE **out, const char *host,
    const char *port, const char *trusted, unsigned wait, char *error);


#endif /* KLAVIYO_CLI_TLS_H */
