/* SPDX-License-Identifier: MIT */
/*
 * dlopen, the entry point and the checks of the descriptor.
 */
#include "plugin/load.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#ifndef RTLD_NODELETE
#define RTLD_NODELETE 0
#endif

enum { PATH_BYTES = 4096, NAME_BYTES = 64 };

/* What ends every refusal: who speaks which version. */
struct versions {
    char text[160];
};

static struct versions versions_of(const mqb_plugin *d)
{
    struct versions v;
    bool has_abi = d && d->struct_size >= offsetof(mqb_plugin, abi) + sizeof(d->abi);
    char theirs[48] = "unknown";
    if (has_abi)
        snprintf(theirs, sizeof(theirs), "%u.%u", d->abi >> 16, d->abi & 0xffff);
    snprintf(v.text, sizeof(v.text), "plugin ABI %s, host ABI %u.%u", theirs, MQB_ABI_MAJOR,
             MQB_ABI_MINOR);
    return v;
}

static mqb_err refuse(struct plugin_error *e, const char *from, const mqb_plugin *d,
                      const char *why)
{
    return mqbx_plugin_error(e, MQB_EPLUGIN, "plugin '%s': %s (%s)", from, why,
                             versions_of(d).text);
}

static bool is_name(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t len = name ? strlen(name) : 0;
    return len > 0 && len <= NAME_BYTES && strspn(name, allowed) == len;
}

mqb_err mqbx_plugin_check(const mqb_plugin *d, const char *from, struct plugin_error *e)
{
    char why[160];
    if (!d)
        return refuse(e, from, NULL, "it has no descriptor for this host");
    if (d->struct_size < offsetof(mqb_plugin, capability) + sizeof(d->capability)) {
        snprintf(why, sizeof(why), "its descriptor has %u bytes, at least %zu are needed",
                 d->struct_size, offsetof(mqb_plugin, capability) + sizeof(d->capability));
        return refuse(e, from, d, why);
    }
    if (d->abi >> 16 != MQB_ABI_MAJOR)
        return refuse(e, from, d, "the major versions differ");
    if (d->must_understand != 0) {
        snprintf(why, sizeof(why), "it requires what this host does not know (bits 0x%x)",
                 d->must_understand);
        return refuse(e, from, d, why);
    }
    if (!is_name(d->name))
        return refuse(e, from, d, "its name is not 1 to 64 letters, digits, '-' and '_'");
    if (!d->version || !d->capability)
        return refuse(e, from, d, "its descriptor lacks version or capability");
    return MQB_OK;
}

/* A name in the folder must not lead out of it. */
static mqb_err full_path(const char *folder, const char *path, char out[PATH_BYTES],
                         struct plugin_error *e)
{
    if (path[0] == '/') {
        snprintf(out, PATH_BYTES, "%s", path);
    } else if (*path == '\0' || strchr(path, '/')) {
        return refuse(e, path, NULL, "the path must be absolute, or a file in plugin.folder");
    } else if (*folder == '\0') {
        return refuse(e, path, NULL, "plugin.folder is not set, and the path is not absolute");
    } else {
        snprintf(out, PATH_BYTES, "%s/%s", folder, path);
    }
    return MQB_OK;
}

mqb_err mqbx_plugin_open(const char *folder, const char *path, const mqb_plugin **out,
                         struct plugin_error *e)
{
    char full[PATH_BYTES];
    mqb_err err = full_path(folder, path, full, e);
    if (err != MQB_OK)
        return err;
    void *lib = dlopen(full, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!lib) {
        const char *why = dlerror();
        return refuse(e, full, NULL, why ? why : "it cannot be loaded");
    }
    void *symbol = dlsym(lib, MQB_PLUGIN_ENTRY);
    if (!symbol)
        return refuse(e, full, NULL, "it exports no function " MQB_PLUGIN_ENTRY);
    mqb_plugin_entry_fn entry;
    memcpy(&entry, &symbol, sizeof(entry)); /* ISO C has no cast from object to function */
    const mqb_plugin *d = entry(MQB_ABI);
    err = mqbx_plugin_check(d, full, e);
    if (err == MQB_OK)
        *out = d;
    return err;
}
