/* A plain text in windows, each an example that is learned whole. */
#include "runtime/data/data_private.h"

bool windows_of_text(Load *l, const char *text, size_t len, Err *err)
{
    Ids ids = {0};
    Err why;
    l->line = 1;
    if (!len)
        return err_set(err, "%.400s: it is empty", l->spec->path);
    if (!tokenizer_encode(l->use->tokenizer, text, len, ENCODE_prompt, &ids,
                          &why))
        return err_set(err, "%.400s: %.400s", l->spec->path, why.text);
    size_t each = (size_t)l->spec->length;
    for (size_t at = 0; at < ids.n; at += each) {
        size_t n = ids.n - at < each ? ids.n - at : each;
        if (n > 1)
            add_example(l, (int)n, ids.at + at, ids.at + at, NULL);
    }
    ids_free(&ids);
    return true;
}
