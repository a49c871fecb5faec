/* The cut: levels. A kernel's level is one above the highest of those whose
 * results it reads; a repeat has one of its own. */
#include "passes/kernels/cut.h"
#include <limits.h>

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

static bool reads(const Kernel *k, const Buffer *b)
{
    for (int i = 0; i < k->nin; i++)
        if (k->in[i] == b)
            return true;
    return false;
}

/* The last level at which k may run. */
static int latest(const Plan *p, const Kernel *k)
{
    int level = INT_MAX;
    for (int i = 0; i < p->kernel.n; i++)
        for (int j = 0; j < k->nout; j++)
            if (reads(p->kernel.at[i], k->out[j]) &&
                p->kernel.at[i]->level <= level)
                level = p->kernel.at[i]->level - 1;
    return level;
}

/* A route is one task: a matmul that can wait (the shared expert's) goes beside
 * it, so that no thread stands idle. */
static void fill_routes(Plan *p)
{
    for (int i = 0; i < p->kernel.n; i++) {
        Kernel *k = p->kernel.at[i];
        int last = k->skeleton == SKEL_matmul ? latest(p, k) : -1;
        for (int j = 0; j < p->kernel.n; j++) {
            const Kernel *r = p->kernel.at[j];
            if (r->skeleton == SKEL_route && r->level > k->level &&
                r->level <= last) {
                k->level = r->level;
                break;
            }
        }
    }
}

/* Weights are put in order only just before they are read. */
static void delay_packs(Plan *p)
{
    for (int i = 0; i < p->kernel.n; i++) {
        Kernel *k = p->kernel.at[i];
        int last = k->skeleton == SKEL_pack ? latest(p, k) : -1;
        k->level = last > k->level ? last : k->level;
    }
}

/* Within a level what others wait for comes first: routes; repeats last. */
static int turn(const Kernel *k)
{
    return k->skeleton == SKEL_route    ? 0
           : k->skeleton == SKEL_repeat ? 2
                                        : 1;
}

static bool earlier(const Kernel *a, const Kernel *b)
{
    return a->level != b->level ? a->level < b->level : turn(a) < turn(b);
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
    fill_routes(p);
    delay_packs(p);
    sort_levels(p);
    split_levels(p);
    cut_lives(p);
}
