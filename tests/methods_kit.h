/* For the tests of methods: a small dense model, transforms of the library
 * applied to it, and any value of the result run by the interpreter. Weights
 * are drawn by their paths; a test may set them otherwise. */
#pragma once
#include "compiler/lang/lang.h"
#include "compiler/check/check.h"
#include "compiler/interp/interp.h"
#include "compiler/lang/elab.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

typedef struct Lab Lab;
/* Fills out[] of a weight, and says so; false: it is drawn as usual. */
typedef bool LabWeight(Lab *l, const Weight *w, double *out);

struct Lab {
    Arena arena;
    Diags diags;
    Spec *spec; /* the library, and `more` */
    cJSON *config;
    Model *dense; /* D 4, F 8, 2 layers, 2 heads, 11 words */
    int64_t T;
    bool exact; /* f64 */
    bool training;
    uint64_t seed;
    LabWeight *weight;
    double number; /* for `weight` */
    Model *now;    /* whose value is being run */
};

Lab *lab_new(const char *more); /* texts of the test's own, or NULL */
void lab_free(Lab *l);
/* `name` applied with parameters as in "E=4 K=2"; nother models for `other`,
 * each of m's shape. */
Model *lab_apply(Lab *l, Model *m, const char *name, const char *args,
                 int nother);
/* Weights are leaves of their own from here on, as after training. */
void lab_trained(Model *m);

Tensor *lab_value(Lab *l, Model *m, const char *path); /* a weight's */
Tensor *lab_logits(Lab *l, Model *m);
/* What a part returns for a random x [T, ..]; or, inside it, the value that
 * its text calls `label`, or the output "loss.NAME" or "stat.NAME". */
Tensor *lab_part(Lab *l, Model *m, const char *part, const char *label);
/* A normal draw of the path's own. */
void lab_draw(Lab *l, const char *path, int64_t n, double *out);
/* The n-th dim varies slowest: element [i, rest] for i of `count`. */
double lab_furthest(const Tensor *a, const Tensor *b); /* of max |b| */
bool lab_same(const Tensor *a, const Tensor *b);       /* every bit */
double lab_sum(const Tensor *a);

#define close_to(a, b) assert_true(lab_furthest(a, b) < 1e-12)
#define far_from(a, b) assert_true(lab_furthest(a, b) > 1e-3)
#define nearly(a, b) assert_true(fabs((a) - (b)) < 1e-12)
