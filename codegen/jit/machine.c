/* The measured machine: figures that are measured once and kept in the user's
 * cache folder, one a line. A flag says that an instruction exists, not that it
 * is fast: on some machines the bf16 dot product is slower than f32 FMA, on
 * others twice as fast. */
#include "codegen/jit/cache.h"
#include "codegen/emit/emit.h"
#include "codegen/jit/measure.h"
#include "runtime/runtime.h"
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    bool multiplies, all; /* what was measured */
    MachineModel m;
} Known;

/* A figure of the file; those of `multiplies` alone come first. */
static const struct Figure {
    const char *name;
    size_t at;
} figure[] = {
#define FIGURE(name, field) {name, offsetof(MachineModel, field)}
    FIGURE("one_fma", one.fma),        FIGURE("one_dot", one.dot),
    FIGURE("one_amx", one.amx),        FIGURE("one_codes", one.codes),
    FIGURE("one_read", one.read),
    FIGURE("all_fma", all.fma),        FIGURE("all_dot", all.dot),
    FIGURE("all_amx", all.amx),        FIGURE("all_codes", all.codes),
    FIGURE("all_read", all.read),
    FIGURE("l1_read", cache_read[0]),  FIGURE("l2_read", cache_read[1]),
    FIGURE("l3_read", cache_read[2]),
};
enum { MULTIPLIES = 4, FIGURES = COUNT(figure) };

static double *place(MachineModel *m, int i)
{
    return (double *)(void *)((char *)m + figure[i].at);
}

/* ---- the file ---- */

uint64_t machine_hash(void)
{
    const char *f = target_host()->features;
    return hash_bytes((uint64_t)exec_cores(), f, strlen(f));
}

static bool model_path(char *path, size_t size)
{
    if (!cache_folder(path, size))
        return false;
    size_t n = strlen(path);
    snprintf(path + n, size - n, "/machine-%016llx",
             (unsigned long long)machine_hash());
    return true;
}

/* How many figures of the file are whole, in order. */
static int read_figures(FILE *f, MachineModel *m)
{
    char name[32];
    double value;
    int n = 0;
    while (n < FIGURES && fscanf(f, "%31s %lf", name, &value) == 2 &&
           !strcmp(name, figure[n].name) && value >= 0 && value < 1e9)
        *place(m, n++) = value;
    return n;
}

static void read_known(Known *k)
{
    char path[4096];
    FILE *f = model_path(path, sizeof path) ? fopen(path, "r") : NULL;
    if (!f)
        return;
    int n = read_figures(f, &k->m);
    fclose(f);
    k->multiplies = n >= MULTIPLIES && k->m.one.fma > 0;
    k->all = k->multiplies && n == FIGURES && k->m.all.read > 0;
}

static void write_known(const Known *k)
{
    char path[4096], *text = NULL;
    size_t len = 0;
    MachineModel copy = k->m;
    if (!model_path(path, sizeof path))
        return;
    FILE *f = open_memstream(&text, &len);
    for (int i = 0; i < (k->all ? FIGURES : MULTIPLIES); i++)
        fprintf(f, "%s %.6g\n", figure[i].name, *place(&copy, i));
    if (!fclose(f))
        cache_replace(path, NULL, 0, text, len);
    free(text);
}

/* ---- what is known ---- */

static void find_caches(MachineModel *m)
{
    static const int names[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE,
                                _SC_LEVEL3_CACHE_SIZE};
    for (int i = 0; i < 3; i++) {
        long size = sysconf(names[i]);
        m->cache[i] = size > 0 ? size : 0;
    }
}

static const MachineModel *know(bool all)
{
    static Known k;
#pragma omp critical(graft_machine)
    {
        if (!k.multiplies) {
            find_caches(&k.m);
            read_known(&k);
        }
        bool missing = all ? !k.all : !k.multiplies;
        if (missing && all)
            measure_machine(&k.m);
        else if (missing)
            k.m.one = measure_multiplies();
        k.multiplies = true;
        k.all |= all;
        if (missing)
            write_known(&k);
        k.m.one.threads = 1;
        k.m.all.threads = exec_cores();
    }
    return &k.m;
}

const Target *target_measured(void)
{
    static Target t;
    const Target *host = target_host();
    bool choice = host->bf16_dot || host->amx;
    const Peaks *p = choice ? &know(false)->one : NULL;
#pragma omp critical(graft_target)
    if (!t.triple) {
        t = *host;
        t.dots = t.bf16_dot && p->dot > 1.2 * p->fma;
        t.tiles = t.amx && p->amx > 1.2 * fmax(p->fma, p->dot);
    }
    return &t;
}

const MachineModel *machine_model(void)
{
    return know(true);
}
