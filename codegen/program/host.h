/* What every target's programs do on the host: columns checked and converted,
 * tables of angles, tensors read and packed. Private to codegen. */
#pragma once
#include "codegen/program/program.h"
#include "codegen/program/steps.h"

/* The column of that name, or NULL. */
const Column *column_find(const Column *c, int n, const char *name);
void column_convert(Dtype to, void *out, Dtype from, const void *in,
                    int64_t n);
/* Is it given, in a type that b can be had from, and are indices in range?
 * False with err set. */
bool column_holds(const Column *c, const Buffer *b, int64_t T, Err *err);
/* Which of the results n is: a block of SPACE_out. */
int output_block(const Steps *s, const Node *n);
/* Is each token's position one that a sequence after `base` rows can have? */
bool positions_hold(int64_t base, int64_t T, const int32_t *pos, Err *err);
/* Rows first .. end - 1 of the table f32 [2, T, rotary / 2]. */
void angles_fill(const Angles *a, const int32_t *pos, int64_t T, int64_t first,
                 int64_t end, float *table);
/* One tensor of w, as `to`; and into its place in packed memory (pack_part),
 * zeroed before. */
bool tensor_load(const WeightSource *s, const Weight *w, int64_t index,
                 Dtype to, void *out, Err *err);
bool tensor_pack(const WeightSource *s, const Weight *w, const Pack *k,
                 int part, int64_t index, void *dst, Err *err);
