/* SentencePiece's BPE as merges: of all neighbours whose joint text is a piece
 * it joins those of the best score. So each way to cut a piece in two pieces
 * is a merge, and its rank comes from the piece's score. */
#define _GNU_SOURCE
#include "runtime/tokens/tokenizer_read.h"
#include <string.h>

typedef struct {
    int piece, cut; /* after `cut` bytes */
} Way;

typedef LIST(Way) Ways;

static bool is_piece(const Vocabulary *v, int id)
{
    return id >= 0 &&
           (v->kind[id] == KIND_normal || v->kind[id] == KIND_user) &&
           !strchr(v->token[id], ' '); /* spaces are "▁" by then */
}

static void add_ways(Arena *a, const Vocabulary *v, const StrTable *ids, int id,
                     Ways *out)
{
    const char *text = v->token[id];
    size_t len = strlen(text);
    for (size_t i = 0; i < len;) {
        i += (size_t)char_length(text + i, len - i);
        if (i < len && is_piece(v, str_get(ids, (Span){text, i})) &&
            is_piece(v, str_get(ids, (Span){text + i, len - i})))
            list_push(a, out, (Way){id, (int)i});
    }
}

/* Best score first; then the order of the file, and the shorter left. */
static int compare(const void *a, const void *b, void *scores)
{
    const Way *x = a, *y = b;
    const float *score = scores;
    float sx = score[x->piece], sy = score[y->piece];
    if (sx != sy && (sx > sy || sx < sy))
        return sx > sy ? -1 : 1;
    if (x->piece != y->piece)
        return x->piece < y->piece ? -1 : 1;
    return x->cut - y->cut;
}

void pieces_to_merges(Arena *a, Vocabulary *v)
{
    StrTable ids = {0};
    Ways ways = {0};
    for (int i = 0; i < v->tokens; i++)
        str_put(&ids, span(v->token[i]), i);
    for (int i = 0; i < v->tokens; i++)
        if (is_piece(v, i))
            add_ways(a, v, &ids, i, &ways);
    if (ways.n)
        qsort_r(ways.at, (size_t)ways.n, sizeof *ways.at, compare,
                (void *)v->score);
    v->merges = ways.n;
    v->merge = arena_alloc(a, (size_t)ways.n * sizeof *v->merge);
    for (int i = 0; i < ways.n; i++)
        v->merge[i] = arena_printf(a, "%.*s %s", ways.at[i].cut,
                                   v->token[ways.at[i].piece],
                                   v->token[ways.at[i].piece] + ways.at[i].cut);
    str_free(&ids);
}
