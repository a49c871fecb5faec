/* The cut: levels. A kernel's level is one above the highest of those whose
 * results it reads; a repeat has one of its own. */
#include "passes/cut.h"
#include <string.h>

static int made_at(const Plan *p, const Buffer *b, int before)
{
    for (int i = 0; i < before; i++) {
        const Kernel *k = p->kernel.at[i];
        for (int j = 0; j < k->nout; j++)
            if (k->out[j] == b)
                return k->level;
    }
    return -1;
}

/* Kernels stand in an order that has all they read before them. */
static void find_levels(Plan *p)
{
    for (int i = 0; i < p->kernel.n; i++) {
        Kernel *k = p->kernel.at[i];
        k->level = 0;
        for (int j = 0; j < k->nin; j++) {
            int after = made_at(p, k->in[j], i) + 1;
            k->level = after > k->level ? after : k->level;
        }
    }
}

static bool earlier(const Kernel *a, const Kernel *b)
{
    if (a->level != b->level)
        return a->level < b->level;
    return a->skeleton != SKEL_repeat && b->skeleton == SKEL_repeat;
}

static void sort_levels(Plan *p)
{
    for (int i = 1; i < p->kernel.n; i++)
        for (int j = i; j; j--) {
            Kernel **at = &p->kernel.at[j];
            if (!earlier(at[0], at[-1]))
                break;
            Kernel *k = at[0];
            at[0] = at[-1];
            at[-1] = k;
        }
}

/* Repeats of a level, one after the other behind its other kernels, get levels
 * of their own: what they run waits for each other. */
static void split_levels(Plan *p)
{
    int shift = 0, last = -1;
    for (int i = 0; i < p->kernel.n; i++) {
        Kernel *k = p->kernel.at[i];
        k->level += shift;
        if (k->skeleton == SKEL_repeat && i && k->level == last) {
            k->level++;
            shift++;
        }
        last = k->level;
    }
}

void cut_lives(Plan *p)
{
    for (int i = 0; i < p->kernel.n; i++) {
        Kernel *k = p->kernel.at[i];
        for (int j = 0; j < k->nin; j++)
            k->in[j]->last = k->level;
        for (int j = 0; j < k->nout; j++) {
            if (k->out[j]->first < 0)
                k->out[j]->first = k->level;
            if (k->out[j]->last < k->level)
                k->out[j]->last = k->level;
        }
    }
}

void cut_levels(Plan *p)
{
    find_levels(p);
    sort_levels(p);
    split_levels(p);
    cut_lives(p);
}
