/* The model and the prompt as arguments. */
#include "cli/model_args.h"
#include <string.h>

void model_argument(ModelArgs *m, const char *arg, struct argp_state *state)
{
    if (m->model)
        argp_error(state, "takes one model, got `%s` too", arg);
    m->model = arg;
}

void model_required(const ModelArgs *m, struct argp_state *state)
{
    if (!m->model)
        argp_error(state, "needs a model: a Hugging Face folder or a .gguf");
}

bool ids_in_range(const Engine *e, const int32_t *ids, size_t n, Err *err)
{
    int limit = engine_vocabulary(e);
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= limit)
            return err_set(err, "%s: no token %d: the vocabulary has %d",
                           engine_checkpoint(e)->path, ids[i], limit);
    return true;
}

bool model_prompt(Engine *e, const ModelArgs *m, Ids *out, Err *err)
{
    for (int i = 0; i < m->count; i++)
        ids_push(out, m->ids[i]);
    if (m->text) {
        const Tokenizer *t = engine_tokenizer(e, err);
        if (!t || !tokenizer_encode(t, m->text, strlen(m->text),
                                    m->whole ? ENCODE_special : ENCODE_prompt,
                                    out, err))
            return false;
    }
    if (out->n == 0)
        return err_set(err, "the prompt is empty: this model's tokenizer "
                            "begins a text with no token of its own");
    return ids_in_range(e, out->at, out->n, err);
}

cJSON *ids_json(const int32_t *ids, size_t n)
{
    return cJSON_CreateIntArray(ids, (int)n);
}
