/* What trace measures: the experts that a model's routing chooses on a text. */
#pragma once
#include "cli/driver/engine.h"

/* One place of routing: an array of experts, in each layer that has it. */
typedef struct {
    const char *name; /* "layer.ffn" */
    int experts, layers;
    const int *layer; /* which ones; of one that is of no layer: NULL */
    const double *chosen; /* [layers, experts]: how often */
    const double *weight; /* sums of their weights; NULL: they have none */
} Route;

/* A model on a file of data. */
typedef struct {
    const char *model, *data;
    int64_t tokens;
    int routes;
    const Route *route;
} Trace;

/* Of a layer, from 0: how often each token has an expert of it. */
double route_share(const Route *r, const Trace *t, int layer, int expert);
/* The mean weight it has then; 0 where it never was chosen. */
double route_weight(const Route *r, int layer, int expert);
/* Entropy of the choices over that of equal ones: 1 is even, 0 one alone. */
double route_evenness(const Route *r, int layer);

void trace_print(const Trace *t, int n);
cJSON *trace_json(const Trace *t, int n);
/* model,data,route,layer,expert,chosen,share,weight */
bool trace_csv(const char *path, const Trace *t, int n, Err *err);
/* A heat map for each place of routing: a row a layer, a column an expert,
 * shaded by how often it is chosen beside an even share. */
bool trace_svg(const char *path, const Trace *t, int n, Err *err);
