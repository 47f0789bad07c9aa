/* SPDX-License-Identifier: MIT */
/*
 * mqttbrokerd: the library as a server. Everything it does is configuration, signals and systemd;
 * the broker is in the library.
 */
#include <errno.h>
#include <mqttbroker.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "NAME\n"
    "    mqttbrokerd - MQTT 3.1, 3.1.1 and 5.0 broker\n"
    "\n"
    "SYNOPSIS\n"
    "    mqttbrokerd [-c FILE] [-p PORT] [--set KEY=VALUE]...\n"
    "    mqttbrokerd [-c FILE] [--set KEY=VALUE]... --test-config | --print-config\n"
    "    mqttbrokerd --version | --help\n"
    "\n"
    "DESCRIPTION\n"
    "    Runs in the foreground and logs to standard error. Without a listener in the file, the\n"
    "    environment or the options it listens on 127.0.0.1:1883, and takes anonymous clients of\n"
    "    this machine only.\n"
    "\n"
    "    -c FILE            read this configuration file\n"
    "    -p PORT            listen on 127.0.0.1:PORT (listener.default.url)\n"
    "    --set KEY=VALUE    set one key; may be given many times\n"
    "    --test-config      check the configuration and exit\n"
    "    --print-config     print all keys that are set, and where they were set, and exit\n"
    "\n"
    "    Later sources override earlier ones: file, environment, options.\n"
    "\n"
    "ENVIRONMENT\n"
    "    MQTTBROKER_...     a key in capitals, with __ for each dot: "
    "MQTTBROKER_QUEUE__MAX_MESSAGES\n"
    "    NOTIFY_SOCKET, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES\n"
    "                       as systemd sets them. An inherited socket is the listener that has "
    "its\n"
    "                       name in LISTEN_FDNAMES.\n"
    "\n"
    "SIGNALS\n"
    "    SIGHUP             read the configuration again; all or nothing\n"
    "    SIGTERM, SIGINT    stop; clients have stop.grace to take what is unsent\n"
    "\n"
    "EXIT STATUS\n"
    "    0 stopped by a signal, or the check passed; 1 failure; 2 wrong usage\n";

struct options {
    int argc;
    char **argv;
    const char *file;
    const char *port;
    enum { RUN, TEST, PRINT } action;
};

static void log_line(void *arg, int32_t level, const char *line, size_t len)
{
    (void)arg, (void)level, (void)len;
    fprintf(stderr, "%s\n", line);
}

static int failed(void)
{
    fprintf(stderr, "mqttbrokerd: %s\n", mqb_last_error());
    return 1;
}

/* Tells systemd, if it asked to be told: sd_notify(3), which is one datagram. */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (path == NULL || (*path != '/' && *path != '@') || strlen(path) >= sizeof(to.sun_path))
        return;
    memcpy(to.sun_path, path, strlen(path));
    if (*path == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, len);
    close(fd);
}

static void notify_reloading(void)
{
    char text[64];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    notify(text);
}

/* --- configuration --------------------------------------------------------------------------- */

static mqb_err set_listener(mqb_config *cfg, const char *name, const char *key, const char *value)
{
    char full[160];
    snprintf(full, sizeof(full), "listener.%s.%s", name, key);
    return mqb_config_set(cfg, full, value);
}

/* Sockets that systemd opened for us become listeners: sd_listen_fds_with_names(3). */
static mqb_err take_inherited(mqb_config *cfg)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    mqb_err err = MQB_OK;
    if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != (long)getpid())
        return MQB_OK;
    long n = strtol(count, NULL, 10);
    for (long i = 0; i < n && err == MQB_OK; i++) {
        char name[65], fd[32], url[64];
        size_t len = names == NULL ? 0 : strcspn(names, ":");
        snprintf(name, sizeof(name), "socket%ld", i);
        if (len > 0 && len < sizeof(name))
            snprintf(name, sizeof(name), "%.*s", (int)len, names);
        names = names == NULL || names[len] == '\0' ? NULL : names + len + 1;
        snprintf(fd, sizeof(fd), "%ld", 3 + i);
        snprintf(url, sizeof(url), "listener.%.40s.url", name);
        if (mqb_config_get(cfg, url) == NULL)
            err = set_listener(cfg, name, "url", "mqtt://*");
        if (err == MQB_OK)
            err = set_listener(cfg, name, "fd", fd);
    }
    return err;
}

static bool is_listener(void *arg, const char *key, const char *value, const char *source)
{
    (void)value, (void)source;
    if (strncmp(key, "listener.", 9) == 0)
        *(bool *)arg = true;
    return !*(bool *)arg;
}

static mqb_err take_options(mqb_config *cfg, const struct options *o)
{
    mqb_err err = MQB_OK;
    for (int i = 1; i < o->argc && err == MQB_OK; i++) {
        if (strcmp(o->argv[i], "--set") == 0)
            err = mqb_config_set_pair(cfg, o->argv[++i]);
    }
    if (err != MQB_OK || o->port == NULL)
        return err;
    char url[64];
    snprintf(url, sizeof(url), "mqtt://127.0.0.1:%s", o->port);
    return set_listener(cfg, "default", "url", url);
}

/* All sources, in their order. *is_default: nobody named a listener. */
static mqb_err load(const struct options *o, mqb_config **out, bool *is_default)
{
    bool has_listener = false;
    mqb_err err = mqb_config_new(out);
    if (err == MQB_OK && o->file != NULL)
        err = mqb_config_load(*out, o->file);
    if (err == MQB_OK)
        err = mqb_config_load_env(*out, NULL);
    if (err == MQB_OK)
        err = take_options(*out, o);
    if (err == MQB_OK)
        err = take_inherited(*out);
    if (err != MQB_OK)
        return err;
    mqb_config_each(*out, is_listener, &has_listener);
    *is_default = !has_listener;
    if (!has_listener)
        err = set_listener(*out, "default", "url", "mqtt://127.0.0.1:1883");
    mqb_config_set_log(*out, log_line, NULL);
    return err != MQB_OK ? err : mqb_config_check(*out);
}

static bool print_key(void *arg, const char *key, const char *value, const char *source)
{
    (void)arg;
    printf("%s = %s  # %s\n", key, value, source);
    return true;
}

/* --- running -----------------------------------------------------------------------------------
 */

static void reload(mqb_broker *b, const struct options *o)
{
    mqb_config *cfg = NULL;
    bool is_default;
    notify_reloading();
    if (load(o, &cfg, &is_default) != MQB_OK || mqb_broker_reload(b, cfg) != MQB_OK)
        (void)failed();
    mqb_config_free(cfg);
    notify("READY=1");
}

static int serve(mqb_broker *b, const struct options *o)
{
    sigset_t signals;
    int sig = 0;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    if (mqb_broker_start(b) != MQB_OK)
        return failed();
    notify("READY=1");
    while (sigwait(&signals, &sig) == 0 && sig == SIGHUP)
        reload(b, o);
    notify("STOPPING=1");
    return mqb_broker_stop(b, -1) == MQB_OK ? 0 : failed();
}

static void say_default(const mqb_config *cfg)
{
    bool json = strcmp(mqb_config_get(cfg, "log.format"), "json") == 0;
    fprintf(stderr,
            json ? "{\"level\":\"info\",\"module\":\"mqttbrokerd\",\"event\":\"%s\"}\n"
                 : "info mqttbrokerd: %s\n",
            "no listener is configured: listening on 127.0.0.1:1883 for anonymous clients of this "
            "machine only; "
            "-p PORT, -c FILE or --set listener.NAME.url=URL change that");
}

static int run(const struct options *o)
{
    mqb_config *cfg = NULL;
    mqb_broker *b = NULL;
    bool is_default = false;
    int status = 0;
    if (load(o, &cfg, &is_default) != MQB_OK) {
        status = failed();
    } else if (strcmp(mqb_config_get(cfg, "threads"), "0") == 0) {
        fputs("mqttbrokerd: threads = 0 is for programs that embed the broker\n", stderr);
        status = 1;
    } else if (o->action == PRINT) {
        mqb_config_each(cfg, print_key, NULL);
    } else if (o->action == RUN) {
        if (is_default)
            say_default(cfg);
        status = mqb_broker_new(cfg, &b) == MQB_OK ? serve(b, o) : failed();
        mqb_broker_free(b);
    }
    mqb_config_free(cfg);
    return status;
}

static int usage(const char *what, const char *arg)
{
    fprintf(stderr, "mqttbrokerd: %s '%s'; --help says more\n", what, arg);
    return 2;
}

int main(int argc, char **argv)
{
    struct options o = {.argc = argc, .argv = argv, .action = RUN};
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        bool takes_value = !strcmp(a, "-c") || !strcmp(a, "-p") || !strcmp(a, "--set");
        if (takes_value && i + 1 == argc)
            return usage("a value is missing after", a);
        if (!strcmp(a, "--help") || !strcmp(a, "-h"))
            return fputs(help, stdout) < 0;
        if (!strcmp(a, "--version"))
            return printf("mqttbrokerd %u.%u.%u\n", mqb_version() >> 16, mqb_version() >> 8 & 255,
                          mqb_version() & 255) < 0;
        if (!strcmp(a, "--test-config"))
            o.action = TEST;
        else if (!strcmp(a, "--print-config"))
            o.action = PRINT;
        else if (!takes_value)
            return usage("unknown option", a);
        if (!strcmp(a, "-c"))
            o.file = argv[i + 1];
        if (!strcmp(a, "-p"))
            o.port = argv[i + 1];
        i += takes_value;
    }
    return run(&o);
}
