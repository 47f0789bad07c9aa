/* SPDX-License-Identifier: MIT */
/*
 * Prints docs/configuration.md from the library's table of keys.
 */
#include <mqttbroker.h>
#include <stdio.h>

int main(void)
{
    mqb_config_key k = {.struct_size = sizeof(k)};
    puts("<!-- SPDX-License-Identifier: MIT -->\n"
         "<!-- Made by tests/samples/config_docs.c; a test fails when it is stale. -->\n"
         "# Configuration\n\n"
         "Every setting is a key with dots. The same keys work in a file, in the environment, on "
         "the command "
         "line and in `mqb_config_set`; later sources override earlier ones, in this order.\n\n"
         "* **File** (libconfig): groups become dots. `queue: { max_messages = 500; };` is "
         "`queue.max_messages`. "
         "Members of lists have names: `listener: { main: { url = \"mqtt://127.0.0.1:1883\"; }; "
         "};`\n"
         "* **Environment**: capitals, `__` for each dot: `MQTTBROKER_QUEUE__MAX_MESSAGES=500`.\n"
         "* **Command line**: `--set queue.max_messages=500`.\n\n"
         "Sizes take `k`, `m`, `g` (powers of 1024), durations `ms`, `s`, `m`, `h`, `d`. A reload "
         "(`SIGHUP`, "
         "`mqb_broker_reload`) changes all keys but those marked *restart*, or nothing.\n\n"
         "| Key | Type | Range | Default | | Meaning |\n|---|---|---|---|---|---|");
    for (size_t i = 0; mqb_config_describe(i, &k) == MQB_OK; i++) {
        printf("| `%s` | %s | ", k.name, k.type);
        for (const char *p = k.range; *p != '\0'; p++)
            *p == '|' ? fputs(" \\| ", stdout) : putchar(*p);
        const char *quote = *k.def == '\0' ? "" : "`";
        printf(" | %s%s%s | %s | %s |\n", quote, k.def, quote, k.needs_restart ? "restart" : "",
               k.help);
    }
    return 0;
}
