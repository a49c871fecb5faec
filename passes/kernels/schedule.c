/* Schedules as text: { tokens 12, vectors 2, tasks 4 4 10 10 }. */
#include "passes/kernels/choice.h"
#include <limits.h>
#include <stddef.h>
#include <string.h>

const int bucket_end[BUCKETS] = {1, 8, 64, INT_MAX};

const Choice schedule_choice[] = {
#define SCHEDULE(name, ...) \
    {#name, offsetof(Schedule, name), 1, __VA_ARGS__},
#define SCHEDULE_T(name, ...) \
    {#name, offsetof(Schedule, name), BUCKETS, __VA_ARGS__},
#include "passes/kernels/schedule.def"
#undef SCHEDULE
#undef SCHEDULE_T
};
const int schedule_choices = COUNT(schedule_choice);

int *choice_at(Schedule *s, const Choice *c)
{
    return (int *)(void *)((char *)s + c->at);
}

const Choice *choice_find(const char *name)
{
    for (int i = 0; i < schedule_choices; i++)
        if (!strcmp(name, schedule_choice[i].name))
            return &schedule_choice[i];
    return NULL;
}

bool choice_takes(const Choice *c, double v)
{
    return !v || (v >= c->least && v <= c->most && v == (int)v &&
                  (int)v % c->step == 0);
}

const char *choice_rule(const Choice *c)
{
    char step[40] = "";
    if (c->step > 1)
        snprintf(step, sizeof step, ", a multiple of %d", c->step);
    return intern_printf("%s (%s) is a whole number from %d to %d%s", c->name,
                         c->meaning, c->least, c->most, step);
}

bool schedule_list(Schedule *s, const char *name, int n, const int *value)
{
    const Choice *c = choice_find(name);
    if (!c || (n > 1 && n != c->n))
        return false;
    for (int i = 0; i < c->n; i++)
        choice_at(s, c)[i] = value[n > 1 ? i : 0];
    return true;
}

void schedule_fill(Schedule *s, const Schedule *from)
{
    Schedule copy = *from;
    for (int i = 0; i < schedule_choices; i++) {
        int *to = choice_at(s, &schedule_choice[i]);
        const int *is = choice_at(&copy, &schedule_choice[i]);
        for (int j = 0; j < schedule_choice[i].n; j++)
            to[j] = to[j] ? to[j] : is[j];
    }
}

/* One value where all are equal. */
static void print_choice(const Choice *c, const int *at, FILE *out)
{
    bool equal = true;
    for (int j = 1; j < c->n; j++)
        equal = equal && at[j] == at[0];
    fputs(c->name, out);
    for (int j = 0; j < (equal ? 1 : c->n); j++)
        fprintf(out, " %d", at[j]);
}

void schedule_print(const Schedule *s, FILE *out)
{
    static const int none[BUCKETS];
    Schedule copy = *s;
    const char *before = "{ ";
    for (int i = 0; i < schedule_choices; i++) {
        const Choice *c = &schedule_choice[i];
        const int *at = choice_at(&copy, c);
        if (!memcmp(at, none, (size_t)c->n * sizeof *at))
            continue;
        fputs(before, out);
        print_choice(c, at, out);
        before = ", ";
    }
    fputs(before[0] == '{' ? "{ }" : " }", out);
}
