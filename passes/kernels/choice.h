/* Private to the room: the choices of schedule.def, pins as they are read. */
#pragma once
#include "passes/kernels/kernels.h"

typedef struct {
    const char *name;
    size_t at; /* in Schedule */
    int n;     /* values: 1 or BUCKETS */
    const char *skeletons;
    int least, most, step;
    const char *meaning;
} Choice;
extern const Choice schedule_choice[];
extern const int schedule_choices;
const Choice *choice_find(const char *name); /* or NULL */
int *choice_at(Schedule *s, const Choice *c);
bool choice_takes(const Choice *c, double v); /* 0: left open */
const char *choice_rule(const Choice *c);     /* which it takes; interned */

/* A size of a pin's shape: a number, or names of dims whose product it is. */
typedef struct {
    char before; /* as of KeyPart */
    int64_t size;
    int n;
    const char *name[MAX_RANK];
} PinPart;
struct Pin {
    const Ast *ast; /* NULL: not of a text */
    Skeleton skeleton;
    bool typed;
    Dtype x, w;
    int n;
    PinPart part[KEY_PARTS];
    Schedule schedule;
    bool heard, used; /* asked about a kernel; spoke of one */
};
bool pin_read(Pin *p, const Ast *pin); /* pins_read.c; mistakes are reported */
