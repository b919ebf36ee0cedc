/*
 * The queue room: a ring goes from the process that attached it to those that
 * use it.
 *
 * What is handed over is the descriptor, and with it the lock of byte 0, which
 * belongs to the open file; and the fixed part of the header, which has been
 * checked.  Who takes it may be root: to it these are bytes.
 *
 * Plain C.
 */


#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "klaviyo_ring_file.h"
#include "klaviyo_ring_private.h"
#include "klaviyo_ring_hand.h"


typedef union {
    struct cmsghdr  header;
    char            space[CMSG_SPACE(sizeof(int))];
} klaviyo_ring_control_t;


static void
klaviyo_ring_message(struct msghdr *msg, struct iovec *iov,
    klaviyo_ring_fixed_t *fixed, klaviyo_ring_control_t *control)
{
    memset(msg, 0, sizeof(struct msghdr));
    memset(control, 0, sizeof(klaviyo_ring_control_t));

    iov->iov_base = fixed;
    iov->iov_len = sizeof(klaviyo_ring_fixed_t);

    msg->msg_iov = iov;
    msg->msg_iovlen = 1;
    msg->msg_control = control->space;
    msg->msg_controllen = sizeof(control->space);
}


int
klaviyo_ring_hand_over(const klaviyo_ring_t *ring, int socket)
{
    ssize_t                 n;
    struct iovec            iov;
    struct msghdr           msg;
    struct cmsghdr         *header;
    klaviyo_ring_fixed_t    fixed;
    klaviyo_ring_control_t  control;

    fixed = ring->fixed;

    klaviyo_ring_message(&msg, &iov, &fixed, &control);

    header = CMSG_FIRSTHDR(&msg);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &ring->fd, sizeof(int));

    do {
        n = sendmsg(socket, &msg, MSG_NOSIGNAL);
    } while (n == -1 && errno == EINTR);

    return (n == -1) ? errno : 0;
}


int
klaviyo_ring_take(klaviyo_ring_t **ring, const klaviyo_ring_conf_t *conf,
    int socket)
{
    int                     fd;
    ssize_t                 n;
    const char             *name;
    struct iovec            iov;
    struct msghdr           msg;
    klaviyo_ring_t         *r;
    struct cmsghdr         *header;
    klaviyo_ring_fixed_t    fixed;
    klaviyo_ring_control_t  control;

    klaviyo_ring_message(&msg, &iov, &fixed, &control);

    do {
        n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
    } while (n == -1 && errno == EINTR);

    if (n <= 0) {
        return (n == 0) ? EPIPE : errno;
    }

    header = CMSG_FIRSTHDR(&msg);
    fd = -1;

    if (header
        && header->cmsg_level == SOL_SOCKET
        && header->cmsg_type == SCM_RIGHTS
        && header->cmsg_len == CMSG_LEN(sizeof(int)))
    {
        memcpy(&fd, CMSG_DATA(header), sizeof(int));
    }

    name = strrchr(conf->path, '/') + 1;
    r = NULL;

    if (fd != -1 && n == (ssize_t) sizeof(klaviyo_ring_fixed_t)) {
        r = klaviyo_ring_new(conf->path, name - conf->path, name, NULL);
    }

    if (r == NULL) {

        if (fd != -1) {
            (void) close(fd);
        }

        return EBADMSG;
    }

    r->drop_oldest = (conf->drop_oldest != 0);
    r->fixed = fixed;
    r->fd = fd;

    *ring = r;

    return 0;
}


klaviyo_ring_rc_e
klaviyo_ring_enter(klaviyo_ring_t *ring, char *error)
{
    if (ring->map) {
        return KLAVIYO_RING_OK;
    }

    return klaviyo_ring_map(ring, PROT_READ|PROT_WRITE, error);
}
