/* SPDX-License-Identifier: MIT */
/*
 * Configuration from files (libconfig, its groups flattened to dotted keys) and from the
 * environment. All or nothing: work is done on a copy.
 */
#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/config.h"
#include "broker/error.h"

extern char **environ;

/* One file or text being read. */
struct reading {
    mqb_config *cfg;
    const char *name; /* as given, for settings that no include brought in */
};

static void place_of(const struct reading *r, const config_setting_t *s, char *out, size_t cap)
{
    const char *file = config_setting_source_file(s);
    snprintf(out, cap, "%s:%u", file == NULL ? r->name : file, config_setting_source_line(s));
}

static bool scalar_text(const config_setting_t *s, char *out, size_t cap)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
        snprintf(out, cap, "%d", config_setting_get_int(s));
        return true;
    case CONFIG_TYPE_INT64:
        snprintf(out, cap, "%lld", config_setting_get_int64(s));
        return true;
    case CONFIG_TYPE_FLOAT:
        snprintf(out, cap, "%g", config_setting_get_float(s));
        return true;
    case CONFIG_TYPE_BOOL:
        snprintf(out, cap, "%s", config_setting_get_bool(s) ? "true" : "false");
        return true;
    default:
        return false;
    }
}

static mqb_err put_setting(const struct reading *r, const config_setting_t *s, const char *key)
{
    char place[512], text[64];
    place_of(r, s, place, sizeof(place));
    if (config_setting_type(s) == CONFIG_TYPE_STRING)
        return mqbx_config_put(r->cfg, key, config_setting_get_string(s), place);
    if (scalar_text(s, text, sizeof(text)))
        return mqbx_config_put(r->cfg, key, text, place);
    return mqbx_error(
        MQB_ECONFIG,
        "%s: '%s' is a list; members of lists have names here: '%s: { NAME: { ... }; };'", place,
        key, key);
}

/* libconfig bounds the nesting by its parser's stack; keys of the table have four parts at most. */
#define DEPTH_MAX 8

static mqb_err put_group(const struct reading *r, const config_setting_t *group, const char *prefix,
                         int depth)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        char key[256];
        int n = snprintf(key, sizeof(key), "%s%s%s", prefix, *prefix == '\0' ? "" : ".",
                         config_setting_name(s));
        if (n < 0 || (size_t)n >= sizeof(key) || depth > DEPTH_MAX) {
            char place[512];
            place_of(r, s, place, sizeof(place));
            return mqbx_error(MQB_ECONFIG, "%s: unknown key '%.64s...'", place, key);
        }
        mqb_err err =
            config_setting_is_group(s) ? put_group(r, s, key, depth + 1) : put_setting(r, s, key);
        if (err != MQB_OK)
            return err;
    }
    return MQB_OK;
}

/* What libconfig's parser had to say. */
static mqb_err parse_error(const config_t *c, const char *name)
{
    const char *file = config_error_file(c);
    return mqbx_error(MQB_ECONFIG, "%s:%d: %s", file == NULL ? name : file, config_error_line(c),
                      config_error_text(c));
}

/* Takes what was parsed into a copy, and the copy into cfg. */
static mqb_err take_parsed(mqb_config *cfg, const config_t *c, const char *name)
{
    mqb_config *copy;
    mqb_err err = mqbx_config_copy(cfg, cfg->alloc, &copy);
    if (err != MQB_OK)
        return err;
    struct reading r = {.cfg = copy, .name = name};
    err = put_group(&r, config_root_setting(c), "", 0);
    if (err == MQB_OK)
        mqbx_config_replace(cfg, copy);
    else
        mqb_config_free(copy);
    return err;
}

static mqb_err parse(mqb_config *cfg, const char *name, const char *include_dir, const char *text)
{
    config_t c;
    config_init(&c);
    if (*include_dir != '\0')
        config_set_include_dir(&c, include_dir);
    mqb_err err = config_read_string(&c, text) == CONFIG_TRUE ? take_parsed(cfg, &c, name)
                                                              : parse_error(&c, name);
    config_destroy(&c);
    return err;
}

/* --- files -----------------------------------------------------------------------------------
 * Read here, not by libconfig, whose scanner ends the process when a read fails (of a directory,
 * for one). What is included is looked at first for the same reason. */

struct text {
    char *ptr; /* NUL-terminated */
    size_t size;
};

#define FILE_MAX (16u << 20)

static mqb_err read_open_file(const struct alloc *a, FILE *f, const char *path, struct text *out)
{
    struct stat st;
    if (fstat(fileno(f), &st) != 0)
        return mqbx_error(MQB_ESYS, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
        return mqbx_error(MQB_ESYS, "%s: not a regular file, or over 16 MiB", path);
    out->size = (size_t)st.st_size + 1;
    out->ptr = mqbx_zalloc(a, out->size);
    if (out->ptr == NULL)
        return mqbx_error(MQB_ENOMEM, "out of memory");
    (void)fread(out->ptr, 1, out->size - 1, f);
    if (!ferror(f))
        return MQB_OK;
    mqbx_free(a, out->ptr, out->size);
    return mqbx_error(MQB_ESYS, "%s: %s", path, strerror(errno));
}

static mqb_err read_file(const struct alloc *a, const char *path, struct text *out)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return mqbx_error(MQB_ESYS, "%s: %s", path, strerror(errno));
    mqb_err err = read_open_file(a, f, path, out);
    fclose(f);
    return err;
}

#define INCLUDE_DEPTH 10 /* libconfig's own */

static mqb_err check_includes(const struct alloc *a, const char *name, const char *dir,
                              const char *text, int depth);

/* `line` begins behind @include; its file must be readable, and so must what that includes. */
static mqb_err check_include(const struct alloc *a, const char *place, const char *dir,
                             const char *line, int depth)
{
    char path[4096];
    line += strspn(line, " \t");
    size_t len = *line == '"' ? strcspn(line + 1, "\"\n") : 0;
    if (len == 0)
        return MQB_OK; /* the parser says more */
    bool is_relative = line[1] != '/' && *dir != '\0';
    int n = snprintf(path, sizeof(path), "%s%s%.*s", is_relative ? dir : "", is_relative ? "/" : "",
                     (int)len, line + 1);
    if (n < 0 || (size_t)n >= sizeof(path) || depth >= INCLUDE_DEPTH)
        return mqbx_error(MQB_ECONFIG, "%s: includes go too deep", place);
    struct text t;
    mqb_err err = read_file(a, path, &t);
    if (err != MQB_OK)
        return mqbx_error(err, "%s: cannot include: %s", place, mqbx_error_text());
    err = check_includes(a, path, dir, t.ptr, depth + 1);
    mqbx_free(a, t.ptr, t.size);
    return err;
}

static mqb_err check_includes(const struct alloc *a, const char *name, const char *dir,
                              const char *text, int depth)
{
    unsigned number = 1;
    for (const char *line = text; line != NULL; number++) {
        const char *word = line + strspn(line, " \t");
        if (strncmp(word, "@include", 8) == 0) {
            char place[512];
            snprintf(place, sizeof(place), "%s:%u", name, number);
            mqb_err err = check_include(a, place, dir, word + 8, depth);
            if (err != MQB_OK)
                return err;
        }
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    return MQB_OK;
}

/* The folder of a path, "" when it has none: what relative @include paths are relative to. */
static void folder_of(const char *path, char *out, size_t cap)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL || (size_t)(slash - path) >= cap ? 0 : (size_t)(slash - path);
    memcpy(out, path, len);
    out[len] = '\0';
}

mqb_err mqb_config_load(mqb_config *cfg, const char *path)
{
    if (cfg == NULL || path == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_config_load: cfg and path must be given");
    struct text t;
    mqb_err err = read_file(cfg->alloc, path, &t);
    if (err != MQB_OK)
        return err;
    char dir[4096];
    folder_of(path, dir, sizeof(dir));
    err = check_includes(cfg->alloc, path, dir, t.ptr, 0);
    if (err == MQB_OK)
        err = parse(cfg, path, dir, t.ptr);
    mqbx_free(cfg->alloc, t.ptr, t.size);
    return err;
}

mqb_err mqb_config_load_text(mqb_config *cfg, const char *name, const char *text)
{
    if (cfg == NULL || name == NULL || text == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_config_load_text: cfg, name and text must be given");
    mqb_err err = check_includes(cfg->alloc, name, "", text, 0);
    return err != MQB_OK ? err : parse(cfg, name, "", text);
}

/* --- environment ----------------------------------------------------------------------------- */

/* ASCII only, whatever the host's locale. */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* "QUEUE__MAX_MESSAGES" to "queue.max_messages". */
static bool key_of_variable(const char *name, size_t len, char *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < cap; i++) {
        bool is_dot = name[i] == '_' && i + 1 < len && name[i + 1] == '_';
        out[n++] = is_dot ? '.' : lower(name[i]);
        i += is_dot;
    }
    out[n] = '\0';
    return n + 1 < cap;
}

static mqb_err put_variable(mqb_config *cfg, const char *variable, size_t prefix_len)
{
    const char *equals = strchr(variable, '=');
    char key[256], source[256];
    if (equals == NULL)
        return MQB_OK;
    snprintf(source, sizeof(source), "%.*s", (int)(equals - variable), variable);
    const char *name = variable + prefix_len;
    if (!key_of_variable(name, (size_t)(equals - name), key, sizeof(key)))
        return mqbx_error(MQB_ECONFIG, "%s: unknown key", source);
    return mqbx_config_put(cfg, key, equals + 1, source);
}

mqb_err mqb_config_load_env(mqb_config *cfg, const char *prefix)
{
    if (cfg == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_config_load_env: cfg must be given");
    if (prefix == NULL)
        prefix = "MQTTBROKER_";
    mqb_config *copy;
    mqb_err err = mqbx_config_copy(cfg, cfg->alloc, &copy);
    if (err != MQB_OK)
        return err;
    size_t len = strlen(prefix);
    for (char **v = environ; v != NULL && *v != NULL && err == MQB_OK; v++) {
        if (strncmp(*v, prefix, len) == 0)
            err = put_variable(copy, *v, len);
    }
    if (err == MQB_OK)
        mqbx_config_replace(cfg, copy);
    else
        mqb_config_free(copy);
    return err;
}
