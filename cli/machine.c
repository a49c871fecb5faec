/* The CPU and the memory, from /proc and /sys; what cannot be read stays 0. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/machine.h"
#include <sched.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE "x86"
#else
#define ARCHITECTURE "aarch64"
#endif

/* The first line of `path` that starts with `key`, from after its colon. */
static bool line_of(const char *path, const char *key, char *buf, int size)
{
    FILE *f = fopen(path, "r");
    bool found = false;
    while (f && !found && fgets(buf, size, f))
        found = !strncmp(buf, key, strlen(key));
    if (f)
        fclose(f);
    if (!found)
        return false;
    const char *value = buf + strlen(key);
    value += strspn(value, " \t:");
    memmove(buf, value, strlen(value) + 1);
    buf[strcspn(buf, "\n")] = 0;
    return true;
}

static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *s = text; (s = strstr(s, word)); s += len)
        if ((s == text || s[-1] == ' ') && (s[len] == ' ' || !s[len]))
            return true;
    return false;
}

static bool has(const Machine *m, const char *name)
{
    for (int i = 0; i < m->nfeature; i++)
        if (!strcmp(m->feature[i].name, name))
            return m->feature[i].there;
    return false;
}

static const char *best_vectors(const Machine *m)
{
    static const char *const order[][2] = {
        {"amx_bf16", "AMX bf16"},         {"avx512_bf16", "AVX-512 BF16"},
        {"avx512f", "AVX-512"},           {"avx2", "AVX2"},
        {"sve", "SVE"},                   {"asimd", "NEON"},
    };
    for (size_t i = 0; i < COUNT(order); i++)
        if (has(m, order[i][0]))
            return order[i][1];
    return "generic";
}

static void look_at_features(Machine *m)
{
    static const struct {
        const char *architecture, *name, *what;
    } all[] = {
#define FEATURE(architecture, name, what) {#architecture, #name, what},
#include "cli/features.def"
#undef FEATURE
    };
    char flags[8192] = "";
    if (!line_of("/proc/cpuinfo", "flags", flags, sizeof flags) &&
        !line_of("/proc/cpuinfo", "Features", flags, sizeof flags))
        *flags = 0;
    for (size_t i = 0; i < COUNT(all) && m->nfeature < MAX_FEATURES; i++)
        if (!strcmp(all[i].architecture, ARCHITECTURE))
            m->feature[m->nfeature++] = (Feature){
                all[i].name, all[i].what, has_word(flags, all[i].name)};
    m->vectors = best_vectors(m);
}

static int64_t kilobytes(const char *key)
{
    char buf[256];
    if (!line_of("/proc/meminfo", key, buf, sizeof buf))
        return 0;
    return strtoll(buf, NULL, 10) * 1024;
}

/* What a container may use (cgroup v2). */
static void look_at_limits(Machine *m)
{
    char buf[256];
    double quota, period;
    if (line_of("/sys/fs/cgroup/cpu.max", "", buf, sizeof buf) &&
        sscanf(buf, "%lf %lf", &quota, &period) == 2 && period > 0)
        m->core_quota = quota / period;
    if (line_of("/sys/fs/cgroup/memory.max", "", buf, sizeof buf) &&
        strcmp(buf, "max"))
        m->memory_limit = strtoll(buf, NULL, 10);
}

void machine_look(Machine *m)
{
    *m = (Machine){0};
    char buf[256];
    if (line_of("/proc/cpuinfo", "model name", buf, sizeof buf))
        snprintf(m->cpu, sizeof m->cpu, "%.100s", buf);
    else
        snprintf(m->cpu, sizeof m->cpu, "%s", ARCHITECTURE);
    look_at_features(m);
    cpu_set_t set;
    m->cores = sched_getaffinity(0, sizeof set, &set) == 0
                   ? CPU_COUNT(&set)
                   : (int)sysconf(_SC_NPROCESSORS_ONLN);
    m->memory = kilobytes("MemTotal");
    m->available = kilobytes("MemAvailable");
    look_at_limits(m);
}
