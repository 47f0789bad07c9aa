/* SPDX-License-Identifier: MIT */
/*
 * sim: a whole broker and its clients in one thread, under a seed.
 *
 *     sim --seed N [--engines K] [--clients C] [--steps M] [--ask] [--keep] [--no-memory] [--trace]
 *         runs one seed; what it prints when it fails is the command that shows it again
 *     sim --seeds COUNT [--first N] ...
 *         runs many, each twice now and then to see that it replays exactly
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/scale.h"
#include "sim.h"

/* What runs, for the signal handler. */
static char replay[256];

static void on_signal(int signal_number)
{
    static const char text[] = "\nagain with: ";
    ssize_t ignored = write(2, text, sizeof(text) - 1);
    ignored = write(2, replay, strlen(replay));
    ignored = write(2, "\n", 1);
    (void)ignored;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void on_death(void)
{
    fprintf(stderr, "\nagain with: %s\n", replay);
}

struct arguments {
    struct sim_options sim;
    uint64_t seeds;     /* 0: one, the given */
    uint64_t all_seeds; /* of these with MQB_TEST_LONG */
    const char *program;
};

static bool take_number(int argc, char **argv, int *i, const char *name, uint64_t *out)
{
    if (strcmp(argv[*i], name) != 0 || *i + 1 >= argc)
        return false;
    char *end;
    *out = strtoull(argv[++*i], &end, 0);
    return *end == '\0' && end != argv[*i];
}

static bool take(int argc, char **argv, int *i, struct arguments *a)
{
    uint64_t n;
    if (take_number(argc, argv, i, "--engines", &n))
        a->sim.world.engines = (uint32_t)n;
    else if (take_number(argc, argv, i, "--clients", &n))
        a->sim.clients = (uint32_t)n;
    else if (take_number(argc, argv, i, "--steps", &a->sim.steps) ||
             take_number(argc, argv, i, "--seed", &a->sim.world.seed) ||
             take_number(argc, argv, i, "--first", &a->sim.world.seed))
        return true;
    else if (take_number(argc, argv, i, "--seeds", &a->seeds) ||
             take_number(argc, argv, i, "--long", &a->all_seeds))
        return true;
    else if (strcmp(argv[*i], "--ask") == 0)
        a->sim.world.ask = ASK_LATER;
    else if (strcmp(argv[*i], "--keep") == 0)
        a->sim.world.keeps = true;
    else if (strcmp(argv[*i], "--no-memory") == 0)
        a->sim.world.fails_allocations = true;
    else if (strcmp(argv[*i], "--trace") == 0)
        a->sim.world.traces = true;
    else
        return false;
    return true;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    *a = (struct arguments){.program = argv[0]};
    a->sim = (struct sim_options){
        .world = {.seed = 1, .engines = 4, .replay = replay}, .clients = 100, .steps = 30000};
    for (int i = 1; i < argc; i++)
        if (!take(argc, argv, &i, a)) {
            fprintf(stderr, "%s: what is %s?\n", argv[0], argv[i]);
            return false;
        }
    bool ok = a->sim.world.engines >= 1 && a->sim.world.engines <= WORLD_ENGINES_MAX &&
              a->sim.clients >= RETAINED_PUBLISHERS && a->sim.clients <= CLIENTS_MAX;
    if (!ok)
        fprintf(stderr, "%s: 1 to %u engines, %u to %u clients\n", argv[0], WORLD_ENGINES_MAX,
                RETAINED_PUBLISHERS, CLIENTS_MAX);
    return ok;
}

static void write_replay(const struct arguments *a)
{
    const struct sim_options *o = &a->sim;
    snprintf(replay, sizeof(replay), "%s --seed %llu --engines %u --clients %u --steps %llu%s%s%s",
             a->program, (unsigned long long)o->world.seed, o->world.engines, o->clients,
             (unsigned long long)o->steps, o->world.ask == ASK_LATER ? " --ask" : "",
             o->world.keeps ? " --keep" : "", o->world.fails_allocations ? " --no-memory" : "");
}

static void run_seed(const struct arguments *a)
{
    write_replay(a);
    uint64_t digest = sim_run(&a->sim);
    if (a->sim.world.seed % 16 == 0 && sim_run(&a->sim) != digest) {
        fprintf(stderr, "seed %llu does not replay: %s\n", (unsigned long long)a->sim.world.seed,
                replay);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    struct arguments a;
    if (!parse(argc, argv, &a))
        return 2;
    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(on_death);
    uint64_t count = a.seeds == 0 ? 1 : test_count(a.seeds, a.all_seeds ? a.all_seeds : a.seeds);
    a.sim.world.is_quiet = a.seeds != 0;
    for (uint64_t i = 0; i < count; i++, a.sim.world.seed++)
        run_seed(&a);
    printf("%llu seeds\n", (unsigned long long)count);
    return 0;
}
