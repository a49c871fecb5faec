/* What test_build_layer.c compiles against a built layer: reads weights and
 * inputs from files of their names, runs steps, writes the results to `out`.
 * Arguments: threads, then the tokens of each step. case.h says what differs
 * from layer to layer: PREPARE and RELEASE its inputs, CALL it, a ROW's bytes
 * of results, and how many TOKENS the files hold. */
#include <layer.h>
#include <case.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_all(const char *name, size_t *size)
{
    enum { MOST = 1 << 22 };
    FILE *f = fopen(name, "rb");
    char *data = malloc(MOST);
    *size = f ? fread(data, 1, MOST, f) : 0;
    if (!f || fclose(f))
        exit(3);
    return data;
}

/* The rows of one step, in memory of just their size. */
static void *rows(const char *name, size_t first, int64_t T)
{
    size_t size;
    char *all = read_all(name, &size);
    size_t row = size / TOKENS;
    char *some = malloc(row * (size_t)T);
    memcpy(some, all + first * row, row * (size_t)T);
    free(all);
    return some;
}

static void set_weights(layer *m)
{
    for (int i = 0; i < layer_weights; i++) {
        const layer_Weight *w = &layer_weight[i];
        size_t size;
        char *values = read_all(w->tensor, &size);
        if ((int64_t)size != w->count * w->element ||
            layer_set(m, layer_find(w->tensor), values))
            exit(4);
        free(values);
    }
}

int main(int argc, char **argv)
{
    layer *m = layer_new(atoi(argv[1]));
    FILE *f = fopen("out", "wb");
    size_t done = 0;
    if (!m || !f || layer_find("nothing") != -1 ||
        layer_set(m, layer_weights, "") != -1)
        return 5;
    set_weights(m);
    for (int i = 2; i < argc; i++) {
        int64_t T = atoi(argv[i]);
        PREPARE
        void *y = malloc((size_t)(ROW * T));
        if (CALL < T)
            return 6;
        fwrite(y, 1, (size_t)(ROW * T), f);
        RELEASE
        free(y);
        done += (size_t)T;
    }
    layer_free(m);
    return fclose(f) ? 7 : 0;
}
