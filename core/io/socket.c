/* SPDX-License-Identifier: MIT */
/*
 * See socket.h.
 */
#include "io/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 1024, SOCKET_FILE_MODE = 0660 };

static mqb_err cannot_listen(const struct listener_options *o, const char *where, const char *call,
                             struct io_error *e)
{
    int error = errno;
    bool is_unix = strncmp(where, "unix:", 5) == 0;
    const char *cause = NULL;
    char remedy[192] = "";
    if (error == EADDRINUSE)
        cause = is_unix ? "another process listens there" : "another process has this port";
    else if (error == EACCES && !is_unix)
        cause = "ports below 1024 need a privilege";
    if (cause)
        snprintf(remedy, sizeof(remedy), "; %s (choose another with listener.%s.url)", cause,
                 o->name && o->name[0] != '\0' ? o->name : "NAME");
    return mqbx_io_error(e, MQB_ESYS, "cannot listen on %s: %s: %s%s", where, call,
                         mqbx_io_strerror(error).text, remedy);
}

static bool set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && ((flags & O_NONBLOCK) || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

static bool set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

#ifdef __linux__
static int new_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}
#else
static int new_socket(int family)
{
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0)
        return -1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    set_nonblocking(fd);
    return fd;
}
#endif

/* --- Unix sockets --------------------------------------------------------------------------- */

/* Does anybody listen at this path? */
static bool is_served(const struct address *a)
{
    int fd = new_socket(AF_UNIX);
    if (fd < 0)
        return true;
    bool is_refused =
        connect(fd, (const struct sockaddr *)&a->sa, a->len) != 0 && errno == ECONNREFUSED;
    close(fd);
    return !is_refused;
}

/* A socket file that nobody listens on was left by a crash. Anything else stays, and bind says so.
 */
static void remove_stale(const struct address *a, const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && !is_served(a))
        unlink(path);
}

bool mqbx_socket_file_note(const struct alloc *a, const char *path, struct socket_file *out)
{
    struct stat st;
    memset(out, 0, sizeof(*out));
    if (lstat(path, &st) != 0)
        return true;
    out->path = mqbx_strndup(a, path, strlen(path));
    out->device = st.st_dev;
    out->inode = st.st_ino;
    return out->path != NULL;
}

void mqbx_socket_file_remove(const struct alloc *a, struct socket_file *f)
{
    struct stat st;
    if (!f->path)
        return;
    if (lstat(f->path, &st) == 0 && st.st_dev == f->device && st.st_ino == f->inode)
        unlink(f->path);
    mqbx_free(a, f->path, strlen(f->path) + 1);
    f->path = NULL;
}

/* --- listening ------------------------------------------------------------------------------ */

/* fchmod before the bind makes the file no more open than it shall be; the umask may have taken
 * from that, hence chmod. */
static const char *bind_to(int fd, const struct address *a)
{
    if (bind(fd, (const struct sockaddr *)&a->sa, a->len) != 0)
        return "bind";
    const char *path = ((const struct sockaddr_un *)&a->sa)->sun_path;
    if (a->sa.ss_family == AF_UNIX && chmod(path, SOCKET_FILE_MODE) != 0)
        return "chmod";
    return NULL;
}

/* NULL, or the call that failed, with errno. Accepted sockets inherit TCP_NODELAY where the system
 * does that. */
static const char *set_up(int fd, const struct address *a, bool ipv6_only)
{
    int family = a->sa.ss_family;
    if (family == AF_UNIX)
        return fchmod(fd, SOCKET_FILE_MODE) == 0 ? NULL : "fchmod";
    if (!set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1))
        return "setsockopt(SO_REUSEADDR)";
    if (family == AF_INET6 && !set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, ipv6_only))
        return "setsockopt(IPV6_V6ONLY)";
    if (!set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1))
        return "setsockopt(TCP_NODELAY)";
    return NULL;
}

static const char *listen_at(const struct address *a, bool ipv6_only, int backlog, int *out)
{
    int fd = new_socket(a->sa.ss_family);
    if (fd < 0)
        return "socket";
    const char *call = set_up(fd, a, ipv6_only);
    if (!call)
        call = bind_to(fd, a);
    if (!call && listen(fd, backlog > 0 ? backlog : BACKLOG) != 0)
        call = "listen";
    if (call) {
        int error = errno;
        close(fd);
        errno = error;
        return call;
    }
    *out = fd;
    return NULL;
}

/* A machine without IPv6, or with it switched off. */
static bool has_no_family(int error)
{
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL || error == EPROTONOSUPPORT;
}

mqb_err mqbx_socket_listen(const struct listener_options *o, const struct url *u, int *out,
                           struct io_error *e)
{
    struct address candidates[ADDRESS_CANDIDATES];
    char where[ADDRESS_TEXT_MAX];
    uint32_t count = 0;
    mqb_err err = mqbx_url_resolve(u, o->ipv6_only, candidates, &count, e);
    if (err != MQB_OK)
        return err;
    if (u->is_unix)
        remove_stale(&candidates[0], u->path);
    for (uint32_t i = 0; i < count; i++) {
        /* the wildcard is one socket for both families; a named IPv6 address is that alone */
        const char *call = listen_at(&candidates[i], o->ipv6_only || !u->is_any, o->backlog, out);
        if (!call)
            return MQB_OK;
        if (i + 1 < count && has_no_family(errno))
            continue;
        mqbx_address_text(&candidates[i], where);
        return cannot_listen(o, where, call, e);
    }
    return MQB_OK;
}

mqb_err mqbx_socket_inherit(int fd, int *out, struct io_error *e)
{
    int is_listening = 0;
    socklen_t len = sizeof(is_listening);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) != 0)
        return mqbx_io_error(e, MQB_EINVAL, "cannot use inherited descriptor %d: %s", fd,
                             mqbx_io_strerror(errno).text);
    if (!is_listening)
        return mqbx_io_error(e, MQB_EINVAL,
                             "cannot use inherited descriptor %d: it is no listening socket", fd);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0 || !set_nonblocking(copy)) {
        mqbx_io_error(e, MQB_ESYS, "cannot use inherited descriptor %d: fcntl: %s", fd,
                      mqbx_io_strerror(errno).text);
        if (copy >= 0)
            close(copy);
        return MQB_ESYS;
    }
    set_int(copy, IPPROTO_TCP, TCP_NODELAY, 1); /* fails for a Unix socket, which needs none */
    *out = copy;
    return MQB_OK;
}

bool mqbx_socket_local(int fd, struct address *out)
{
    memset(out, 0, sizeof(*out));
    out->len = sizeof(out->sa);
    return getsockname(fd, (struct sockaddr *)&out->sa, &out->len) == 0;
}

/* --- connections ---------------------------------------------------------------------------- */

mqb_err mqbx_socket_adopt(int fd, struct address *peer, struct io_error *e)
{
    int type = 0;
    socklen_t len = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
        return mqbx_io_error(e, MQB_EINVAL, "cannot adopt descriptor %d: %s", fd,
                             mqbx_io_strerror(errno).text);
    if (type != SOCK_STREAM)
        return mqbx_io_error(e, MQB_EINVAL, "cannot adopt descriptor %d: it is no stream socket",
                             fd);
    memset(peer, 0, sizeof(*peer));
    peer->len = sizeof(peer->sa);
    if (getpeername(fd, (struct sockaddr *)&peer->sa, &peer->len) != 0)
        peer->sa.ss_family = AF_UNSPEC;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || !set_nonblocking(fd))
        return mqbx_io_error(e, MQB_ESYS, "cannot adopt descriptor %d: fcntl: %s", fd,
                             mqbx_io_strerror(errno).text);
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* fails for a Unix socket, which needs none */
    return MQB_OK;
}

#ifdef __linux__
int mqbx_socket_accept(int fd, struct address *peer)
{
    peer->len = sizeof(peer->sa);
    return accept4(fd, (struct sockaddr *)&peer->sa, &peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
#else
int mqbx_socket_accept(int fd, struct address *peer)
{
    peer->len = sizeof(peer->sa);
    int connection = accept(fd, (struct sockaddr *)&peer->sa, &peer->len);
    if (connection < 0)
        return -1;
    fcntl(connection, F_SETFD, FD_CLOEXEC);
    set_nonblocking(connection);
    set_int(connection, IPPROTO_TCP, TCP_NODELAY, 1);
    return connection;
}
#endif
