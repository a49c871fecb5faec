/* What apply writes around the weights: config.json, the model's text, the
 * tokenizer and other files of a folder; or all of it as GGUF metadata. */
#include "cli/driver/apply.h"
#include <string.h>
#include <strings.h>

struct OutputParts {
    Arena arena;
    LIST(FileSpec) file;
    Written written;
    char *config_text;
    TokenizerFiles tokenizer;
    FolderSpec folder;
    GgufSpec gguf;
};

bool output_is_gguf(const char *path)
{
    size_t n = strlen(path);
    return n > 5 && !strcasecmp(path + n - 5, ".gguf");
}

static void add_text(struct OutputParts *p, const char *name, const char *text)
{
    if (text)
        list_push(&p->arena, &p->file,
                  (FileSpec){name, text, strlen(text), NULL});
}

/* The config says in what type most weights are. */
static void set_dtype(const FilePlan *p, cJSON *config)
{
    int64_t bytes[TYPE_COUNT] = {0};
    Dtype most = TYPE_f32;
    for (int i = 0; i < p->tensor.n; i++) {
        Dtype d = p->tensor.at[i].dtype;
        bytes[d] += p->tensor.at[i].bytes;
        most = bytes[d] > bytes[most] ? d : most;
    }
    const char *name = most == TYPE_bf16  ? "bfloat16"
                       : most == TYPE_f16 ? "float16"
                                          : "float32";
    const char *key = cJSON_GetObjectItemCaseSensitive(config, "dtype")
                          ? "dtype"
                          : "torch_dtype";
    cJSON *v = cJSON_CreateString(name);
    if (cJSON_GetObjectItemCaseSensitive(config, key))
        cJSON_ReplaceItemInObjectCaseSensitive(config, key, v);
    else
        cJSON_AddItemToObject(config, key, v);
}

/* Models of ids alone have a word in place of a tokenizer. */
static bool has_words(const Gguf *g)
{
    const char *model = gguf_string(g, "tokenizer.ggml.model");
    return model && strcmp(model, "no_vocab") && strcmp(model, "none");
}

static bool add_tokenizer(struct OutputParts *p, const Checkpoint *c, Err *err)
{
    if (!c->gguf || !has_words(c->gguf))
        return true;
    if (!tokenizer_files_gguf(c->gguf, c->path, &p->tokenizer, err))
        return false;
    add_text(p, "tokenizer.json", p->tokenizer.tokenizer);
    add_text(p, "tokenizer_config.json", p->tokenizer.config);
    add_text(p, "generation_config.json", p->tokenizer.generation);
    return true;
}

static Writer *begin_folder(Output *o, Err *err)
{
    struct OutputParts *p = o->parts;
    const Checkpoint *c = o->source;
    p->config_text = json_text(p->written.config);
    add_text(p, "config.json", p->config_text);
    add_text(p, "model.graft", p->written.text);
    add_text(p, "learned.json", o->learned);
    if (!add_tokenizer(p, c, err))
        return NULL;
    for (int i = 0; i < c->others; i++)
        list_push(&p->arena, &p->file,
                  (FileSpec){c->other[i].name, NULL, 0, c->other[i].path});
    if (c->link_out)
        report_note(o->common, "note: %s is a link out of the model's folder: "
                    "such files are not copied", c->link_out);
    p->folder = (FolderSpec){
        .tensor = o->plan->whole.at, .tensors = o->plan->whole.n,
        .meta = (const char *const(*)[2])o->meta, .metas = o->metas,
        .file = p->file.at, .files = p->file.n};
    return folder_begin(o->path, &p->folder, err);
}

/* What llama.cpp will do otherwise; where it must not, that is an error. */
static bool say_caveats(const Output *o, Err *err)
{
    const char *caveat[GGUF_CAVEATS];
    int n = gguf_caveats(o->parts->written.config, caveat);
    if (n && o->strict)
        return err_set(err, "--strict: %s", caveat[0]);
    for (int i = 0; i < n; i++)
        report_note(o->common, "note: %s", caveat[i]);
    return true;
}

static Writer *begin_gguf(Output *o, Err *err)
{
    struct OutputParts *p = o->parts;
    const Checkpoint *c = o->source;
    p->gguf = (GgufSpec){
        .tensor = o->plan->whole.at, .tensors = o->plan->whole.n,
        .config = p->written.config, .tokenizer = c->tokenizer,
        .gguf = c->gguf,
        .meta = (const char *const(*)[2])o->meta, .metas = o->metas,
        .has_type = o->common->has_dtype, .type = o->common->dtype};
    return say_caveats(o, err) ? gguf_begin(o->path, &p->gguf, err) : NULL;
}

Writer *output_begin(Output *o, Err *err)
{
    o->parts = xmalloc(sizeof *o->parts);
    *o->parts = (struct OutputParts){0};
    if (!model_write(o->made, &o->parts->written, err))
        return NULL;
    set_dtype(o->plan, o->parts->written.config);
    cJSON_DeleteItemFromObjectCaseSensitive(o->parts->written.config,
                                            "quantization_config");
    return output_is_gguf(o->path) ? begin_gguf(o, err)
                                   : begin_folder(o, err);
}

void output_free(Output *o)
{
    struct OutputParts *p = o->parts;
    written_free(&p->written);
    free(p->config_text);
    tokenizer_files_free(&p->tokenizer);
    arena_free(&p->arena);
    free(p);
}
