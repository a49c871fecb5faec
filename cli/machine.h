/* What doctor finds out about this machine (machine.c, libraries.c). */
#pragma once
#include "base/base.h"

typedef struct {
    const char *name, *what;
    bool there;
} Feature;

enum { MAX_FEATURES = 24, MAX_GPUS = 16 };

typedef struct {
    char cpu[128];
    Feature feature[MAX_FEATURES]; /* those of this architecture */
    int nfeature;
    const char *vectors; /* the best that kernels can use */
    int cores;           /* this process may run on */
    double core_quota;   /* of a container, in cores; 0: none */
    int64_t memory, available, memory_limit; /* bytes; limit 0: none */
} Machine;
void machine_look(Machine *m);

typedef struct {
    const char *name;
    char version[64]; /* "" where it was not found */
    char note[320];   /* why not, or what it lacks; "" */
} Library;

typedef struct {
    char name[128];
    int major, minor; /* compute capability: sm_90 is 9, 0 */
    int64_t memory;   /* bytes */
} Gpu;

typedef struct {
    Library library[12];
    int nlibrary;
    Gpu gpu[MAX_GPUS];
    int ngpu;
} Libraries;
void libraries_look(Libraries *l);
