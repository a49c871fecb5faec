/* A file of data as a model that runs takes it. */
#include "cli/driver/examples.h"
#include <string.h>

static bool named(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n > m && !strcmp(path + n - m, end);
}

/* Does the first record have token ids? */
static bool has_ids(const char *text, size_t len)
{
    const char *first = memchr(text, '{', len), *end;
    size_t left = first ? len - (size_t)(first - text) : 0;
    cJSON *o = first ? cJSON_ParseWithLengthOpts(first, left, &end, false)
                     : NULL;
    bool ids = cJSON_HasObjectItem(o, "ids");
    cJSON_Delete(o);
    return ids;
}

static bool kind_of(const char *path, DataKind *out, Err *err)
{
    *out = DATA_text;
    if (!named(path, ".jsonl") && !named(path, ".json"))
        return true;
    size_t len;
    char *text = read_file(path, &len, err);
    if (!text)
        return false;
    *out = has_ids(text, len) ? DATA_ids : DATA_instruct;
    free(text);
    return true;
}

bool examples_open(Engine *e, const char *path, const char *style, int length,
                   Data *out, Err *err)
{
    DataSpec spec = {.path = path, .length = length};
    DataUse use = {.vocabulary = engine_vocabulary(e)};
    ChatFormat *chat = NULL;
    *out = (Data){0};
    if (!kind_of(path, &spec.kind, err))
        return false;
    bool fine = true;
    if (spec.kind != DATA_ids) {
        use.tokenizer = engine_tokenizer(e, err);
        fine = use.tokenizer != NULL;
    }
    if (fine && spec.kind == DATA_instruct) {
        spec.style = style ? style : "chat";
        if (!style)
            chat = chat_format(engine_checkpoint(e), NULL, err);
        use.chat = chat;
        fine = style || chat;
    }
    fine = fine && data_open(out, &spec, &use, err);
    chat_format_free(chat);
    return fine;
}
