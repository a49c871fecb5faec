/* Schedules as text: { tokens 12, vectors 2, tasks 4 4 10 10 }. */
#include "passes/passes.h"
#include <limits.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    size_t at;
    int n; /* values */
} field[] = {
#define SCHEDULE(name, skeletons, least, most, meaning) \
    {#name, offsetof(Schedule, name), 1},
#define SCHEDULE_T(name, skeletons, least, most, meaning) \
    {#name, offsetof(Schedule, name), BUCKETS},
#include "passes/schedule.def"
#undef SCHEDULE
#undef SCHEDULE_T
};

const int bucket_end[BUCKETS] = {1, 8, 64, INT_MAX};

bool schedule_list(Schedule *s, const char *name, int n, const int *value)
{
    for (size_t i = 0; i < COUNT(field); i++) {
        int *to = (int *)(void *)((char *)s + field[i].at);
        if (strcmp(name, field[i].name) || (n > 1 && n != field[i].n))
            continue;
        for (int j = 0; j < field[i].n; j++)
            to[j] = value[n > 1 ? j : 0];
        return true;
    }
    return false;
}

bool schedule_set(Schedule *s, const char *name, int value)
{
    return schedule_list(s, name, 1, &value);
}

/* One value where all are equal; nothing where all are 0. */
static void print_field(const int *at, size_t i, const char *before, FILE *out)
{
    bool equal = true;
    for (int j = 1; j < field[i].n; j++)
        equal = equal && at[j] == at[0];
    fprintf(out, "%s %s", before, field[i].name);
    for (int j = 0; j < (equal ? 1 : field[i].n); j++)
        fprintf(out, " %d", at[j]);
}

void schedule_print(const Schedule *s, FILE *out)
{
    static const int none[BUCKETS];
    const char *before = "{";
    for (size_t i = 0; i < COUNT(field); i++) {
        const int *at = (const int *)(const void *)((const char *)s +
                                                    field[i].at);
        if (!memcmp(at, none, (size_t)field[i].n * sizeof *at))
            continue;
        print_field(at, i, before, out);
        before = ",";
    }
    fputs(" }", out);
}
