/* SPDX-License-Identifier: MIT */
/*
 * Runs a harness without libFuzzer: every file of the folders given, each of its prefixes, and it
 * with each bit flipped. The harness aborts on a fault.
 */
#include <dirent.h>
#include <string.h>

#include "fuzz.h"

/* A block of exactly that size, so that a sanitizer sees one byte too many. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    CHECK(exact);
    if (size)
        memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void run_variants(uint8_t *data, size_t size)
{
    for (size_t n = 0; n <= size; n++)
        run(data, n);
    for (size_t bit = 0; bit < size * 8; bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        run(data, size);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void run_file(const char *folder, const char *name)
{
    char path[4096];
    static uint8_t data[1 << 16];
    CHECK(snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path));
    FILE *f = fopen(path, "rb");
    CHECK(f);
    size_t size = fread(data, 1, sizeof(data), f);
    CHECK(size < sizeof(data) && !ferror(f));
    fclose(f);
    run_variants(data, size);
}

static int run_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        perror(folder);
        return 0;
    }
    int n = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        run_file(folder, entry->d_name);
        n++;
    }
    closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int n = run_folder(argv[i]);
        printf("%s: %d files\n", argv[i], n);
        if (n == 0)
            return 1;
    }
    return argc < 2;
}
