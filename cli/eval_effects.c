/* Losses and stats of a model's modules over a text: a loss is the mean of its
 * runs by their tokens, a stat their sum, a row for each layer that has it. */
#include "cli/eval_effects.h"
#include <string.h>

static bool is_loss(const Effect *f)
{
    return !strncmp(f->name, "loss.", 5);
}

static int64_t numbers(const Engine *e)
{
    const Effect *f;
    int64_t all = 0;
    for (int n = engine_effects(e, &f); n > 0; n--, f++)
        all += f->count;
    return all;
}

void effects_add(Effects *s, const Engine *e, int tokens)
{
    const Effect *f;
    int64_t all = numbers(e);
    if (!s->sum) {
        s->sum = xmalloc((size_t)all * sizeof *s->sum + 1);
        for (int64_t i = 0; i < all; i++)
            s->sum[i] = 0;
    }
    double *sum = s->sum;
    for (int n = engine_effects(e, &f); n > 0; n--, f++)
        for (int64_t i = 0; i < f->count; i++)
            *sum++ += f->at[i] * (is_loss(f) ? tokens : 1);
    s->tokens += tokens;
}

bool effects_have_stats(const Engine *e)
{
    const Effect *f;
    for (int n = engine_effects(e, &f); n > 0; n--, f++)
        if (!is_loss(f))
            return true;
    return false;
}

static void print_row(const double *at, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        printf(" %.6g", at[i]);
    putchar('\n');
}

void effects_print(const Effects *s, const Engine *e)
{
    const Effect *f;
    const double *at = s->sum;
    for (int n = engine_effects(e, &f); n > 0; n--, at += f->count, f++) {
        if (is_loss(f)) {
            printf("loss %s %.9f\n", f->name + 5,
                   *at / (double)s->tokens);
            continue;
        }
        printf("stat %s", f->name + 5);
        if (!f->rows)
            print_row(at, f->count);
        else
            putchar('\n');
        for (int64_t i = 0; i < f->rows; i++) {
            int64_t row = f->count / f->rows;
            printf("  layer %d:", f->layer[i]);
            print_row(at + i * row, row);
        }
    }
}

static cJSON *json_row(const double *at, int64_t n)
{
    return cJSON_CreateDoubleArray(at, (int)n);
}

static cJSON *json_stat(const Effect *f, const double *at)
{
    if (!f->rows)
        return json_row(at, f->count);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToObject(o, "layers",
                          cJSON_CreateIntArray(f->layer, (int)f->rows));
    cJSON *rows = cJSON_AddArrayToObject(o, "values");
    int64_t row = f->count / f->rows;
    for (int64_t i = 0; i < f->rows; i++)
        cJSON_AddItemToArray(rows, json_row(at + i * row, row));
    return o;
}

void effects_json(const Effects *s, const Engine *e, cJSON *to)
{
    const Effect *f;
    const double *at = s->sum;
    cJSON *losses = cJSON_CreateObject(), *stats = cJSON_CreateObject();
    for (int n = engine_effects(e, &f); n > 0; n--, at += f->count, f++)
        if (is_loss(f))
            cJSON_AddNumberToObject(losses, f->name + 5,
                                    *at / (double)s->tokens);
        else
            cJSON_AddItemToObject(stats, f->name + 5, json_stat(f, at));
    if (losses->child)
        cJSON_AddItemToObject(to, "losses", losses);
    else
        cJSON_Delete(losses);
    if (stats->child)
        cJSON_AddItemToObject(to, "stats", stats);
    else
        cJSON_Delete(stats);
}

void effects_free(Effects *s)
{
    free(s->sum);
    s->sum = NULL;
}
