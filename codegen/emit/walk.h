/* What walk*.c share: the walker's value of each op that moves or tells places.
 * Private to the emitters. */
#pragma once
#include "codegen/emit/kernel.h"

const Place *walk_place(const Places *p, const Dim *d); /* BUG: it has none */
/* An index as a vector of i64, one a lane. */
Val walk_lanes(Walk *w, const Place *at, int lanes);

/* n's value at p, n being of that op. */
Val walk_gather(Walk *w, const Node *n, const Places *p);
Val walk_slice(Walk *w, const Node *n, const Places *p);
Val walk_rename(Walk *w, const Node *n, const Places *p);
Val walk_flatten(Walk *w, const Node *n, const Places *p);
Val walk_split(Walk *w, const Node *n, const Places *p);
Val walk_iota(Walk *w, const Node *n, const Places *p);
Val walk_onehot(Walk *w, const Node *n, const Places *p);
Val walk_scalar(Walk *w, const Node *n, const Places *p);
Val walk_rope(Walk *w, const Node *n, const Places *p);
Val walk_cut(Walk *w, const Node *n, const Places *p);
Val walk_join(Walk *w, const Node *n, const Places *p);
Val walk_position(Walk *w, const Node *n, const Places *p);
Val walk_round(Walk *w, const Node *n, const Places *p); /* walk_random.c */
