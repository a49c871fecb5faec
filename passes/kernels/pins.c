/* Pins: which of them speak of a kernel; as text again. */
#include "passes/kernels/choice.h"
#include <math.h>
#include <string.h>

bool pins_add(Pins *p, const Ast *schedule)
{
    bool good = true;
    for (int i = 0; i < schedule->nkid; i++) {
        Pin *pin = arena_alloc(p->arena, sizeof *pin);
        if (pin_read(pin, schedule->kid[i]))
            list_push(p->arena, &p->at, pin);
        else
            good = false;
    }
    return good;
}

/* ---- the kernel they speak of ---- */

static bool same_kind(const Pin *p, const KernelKey *key)
{
    if (p->skeleton != key->skeleton || p->n != key->n ||
        (p->typed && (p->x != key->x || p->w != key->w)))
        return false;
    for (int i = 0; i < p->n; i++)
        if (p->part[i].before != key->part[i].before)
            return false;
    return true;
}

static bool same_size(const PinPart *p, const KeyPart *k)
{
    if (!p->n)
        return p->size == k->size;
    for (int i = 0; i < p->n; i++)
        if (p->n != k->n || strcmp(p->name[i], k->dim[i]->name))
            return false;
    return true;
}

static bool speaks_of(const Pin *p, const KernelKey *key)
{
    bool same = same_kind(p, key);
    for (int i = 0; same && i < p->n; i++)
        same = same_size(&p->part[i], &key->part[i]);
    return same;
}

/* How far the shape is: the largest ratio of two sizes; below 0: another. */
static double distance(const Pin *p, const KernelKey *key)
{
    double most = 1;
    if (!same_kind(p, key))
        return -1;
    for (int i = 0; i < p->n; i++) {
        double a = (double)p->part[i].size, b = (double)key->part[i].size;
        if (a < 1)
            return -1;
        most = fmax(most, a > b ? a / b : b / a);
    }
    return most;
}

static const Pin *nearest_pin(const Pins *p, const KernelKey *key)
{
    double best = 1.5; /* beyond that a shape says little about another */
    const Pin *found = NULL;
    for (int i = 0; i < p->at.n; i++) {
        double d = distance(p->at.at[i], key);
        if (d >= 0 && d <= best) {
            best = d;
            found = p->at.at[i];
        }
    }
    return found;
}

Schedule pins_for(const Pins *p, const KernelKey *key, bool far)
{
    Schedule s = {0};
    bool exact = false;
    for (int i = p->at.n - 1; i >= 0; i--) {
        Pin *pin = p->at.at[i];
        pin->heard = true;
        if (!speaks_of(pin, key))
            continue;
        schedule_fill(&s, &pin->schedule);
        exact = pin->used = true;
    }
    const Pin *near = far && !exact ? nearest_pin(p, key) : NULL;
    return near ? near->schedule : s;
}

bool pins_idle(const Pins *p, int *at, const Source **src, Loc *loc)
{
    while (*at < p->at.n) {
        const Pin *pin = p->at.at[(*at)++];
        if (!pin->ast || !pin->heard || pin->used)
            continue;
        *src = pin->ast->src;
        *loc = pin->ast->loc;
        return true;
    }
    return false;
}

bool pins_place(const Pins *p, const KernelKey *key, const char *choice,
                const Source **src, Loc *loc)
{
    for (int i = p->at.n - 1; i >= 0; i--) {
        const Ast *ast = p->at.at[i]->ast;
        if (!ast || !speaks_of(p->at.at[i], key))
            continue;
        for (int j = 2; j < ast->nkid; j++)
            if (!strcmp(ast->kid[j]->text, choice)) {
                *src = ast->src;
                *loc = ast->kid[j]->loc;
                return true;
            }
    }
    return false;
}

/* ---- new ones, and their text ---- */

static KernelKey key_of(const Pin *p)
{
    KernelKey key = {.skeleton = p->skeleton, .x = p->x, .w = p->w, .n = p->n};
    for (int i = 0; i < p->n; i++)
        key.part[i] = (KeyPart){.before = p->part[i].before,
                                .size = p->part[i].size};
    return key;
}

static Pin *pin_of(Pins *p, const KernelKey *key)
{
    Pin *pin = arena_alloc(p->arena, sizeof *pin);
    *pin = (Pin){.skeleton = key->skeleton, .x = key->x, .w = key->w,
                 .typed = key->skeleton != SKEL_map, .n = key->n};
    for (int i = 0; i < key->n; i++)
        pin->part[i] = (PinPart){.before = key->part[i].before,
                                 .size = key->part[i].size};
    return pin;
}

void pins_put(Pins *p, const KernelKey *key, const Schedule *s)
{
    Pin *pin = pin_of(p, key);
    int kept = 0;
    pin->schedule = *s;
    for (int i = 0; i < p->at.n; i++)
        if (speaks_of(p->at.at[i], key))
            schedule_fill(&pin->schedule, &p->at.at[i]->schedule);
        else
            p->at.at[kept++] = p->at.at[i];
    p->at.n = kept;
    list_push(p->arena, &p->at, pin);
}

void pins_merge(Pins *p, const Pins *more)
{
    for (int i = 0; i < more->at.n; i++) {
        KernelKey key = key_of(more->at.at[i]);
        pins_put(p, &key, &more->at.at[i]->schedule);
    }
}

void pins_from_text(Pins *p, const char *path, const char *text, int len)
{
    Diags quiet = {.quiet = true};
    Source *src = arena_alloc(p->arena, sizeof *src);
    Pins all = {.arena = p->arena};
    *src = (Source){.path = path, .text = text, .len = len, .diags = &quiet};
    const Ast *file = dsl_parse(p->arena, src);
    for (int i = 0; file && i < file->nkid; i++)
        if (file->kid[i]->kind != AST_schedule ||
            !pins_add(&all, file->kid[i]))
            quiet.errors++;
    if (!quiet.errors)
        pins_merge(p, &all);
    diags_free(&quiet);
}

static void print_pin(const Pin *p, FILE *out)
{
    KernelKey key = key_of(p);
    fputs("  ", out);
    kernel_key_print(&key, out);
    fputc(' ', out);
    schedule_print(&p->schedule, out);
    fputc('\n', out);
}

void pins_print(const Pins *p, const char *name, int most, FILE *out)
{
    fprintf(out, "schedule %s {\n", name);
    for (int i = p->at.n > most ? p->at.n - most : 0; i < p->at.n; i++)
        print_pin(p->at.at[i], out);
    fputs("}\n", out);
}
