/* Schedules as text: { lanes 16, grain 85 }. */
#include "passes/passes.h"
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    size_t at;
} field[] = {
#define SCHEDULE(name, meaning) {#name, offsetof(Schedule, name)},
#include "passes/schedule.def"
#undef SCHEDULE
};

static int *choice(Schedule *s, size_t i)
{
    return (int *)(void *)((char *)s + field[i].at);
}

bool schedule_set(Schedule *s, const char *name, int value)
{
    for (size_t i = 0; i < COUNT(field); i++)
        if (!strcmp(name, field[i].name)) {
            *choice(s, i) = value;
            return true;
        }
    return false;
}

void schedule_print(const Schedule *s, FILE *out)
{
    Schedule copy = *s;
    const char *before = "{";
    for (size_t i = 0; i < COUNT(field); i++) {
        if (!*choice(&copy, i))
            continue;
        fprintf(out, "%s %s %d", before, field[i].name, *choice(&copy, i));
        before = ",";
    }
    fputs(" }", out);
}
