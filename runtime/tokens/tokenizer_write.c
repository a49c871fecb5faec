/* Writes a GGUF file's vocabulary as the files of a Hugging Face folder. */
#include "runtime/tokens/tokenizer_read.h"
#include <string.h>

static void put_string(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < ' ')
            fprintf(f, "\\u%04x", c);
        else
            fputc(c, f);
    }
    fputc('"', f);
}

static void put_field(FILE *f, const char *name, const char *value)
{
    fprintf(f, "\"%s\": ", name);
    put_string(f, value);
}

static const char *bool_text(bool b)
{
    return b ? "true" : "false";
}

/* Tokens that a text is cut at first; the model's own pieces are not. */
static bool is_added(const Vocabulary *v, int id)
{
    TokenKind k = v->kind[id];
    return k == KIND_unknown || k == KIND_control || k == KIND_user;
}

static void write_added(FILE *f, const Vocabulary *v)
{
    const char *comma = "";
    fprintf(f, " \"added_tokens\": [");
    for (int i = 0; i < v->tokens; i++) {
        if (!is_added(v, i))
            continue;
        fprintf(f, "%s\n  {\"id\": %d, ", comma, i);
        put_field(f, "content", v->token[i]);
        fprintf(f,
                ", \"single_word\": false, \"lstrip\": false, \"rstrip\": "
                "false, \"normalized\": false, \"special\": %s}",
                bool_text(v->kind[i] != KIND_user));
        comma = ",";
    }
    fprintf(f, "\n ],\n");
}

static void write_normalizer(FILE *f, const Vocabulary *v)
{
    fprintf(f, " \"normalizer\": ");
    if (v->pre) {
        fprintf(f, "null,\n");
        return;
    }
    fprintf(f, "{\"type\": \"Sequence\", \"normalizers\": [");
    if (v->space_prefix)
        fprintf(f, "{\"type\": \"Prepend\", \"prepend\": \"▁\"}, ");
    fprintf(f, "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, "
               "\"content\": \"▁\"}]},\n");
}

static void write_pre(FILE *f, const Vocabulary *v)
{
    fprintf(f, " \"pre_tokenizer\": ");
    if (!v->pre) {
        fprintf(f, "null,\n");
        return;
    }
    fprintf(f, "{\"type\": \"Sequence\", \"pretokenizers\": [");
    for (const char *const *p = v->pre->pattern; *p; p++) {
        fprintf(f, "\n  {\"type\": \"Split\", \"pattern\": {");
        put_field(f, "Regex", *p);
        fprintf(f, "}, \"behavior\": \"Isolated\", \"invert\": false},");
    }
    fprintf(f,
            "\n  {\"type\": \"ByteLevel\", \"add_prefix_space\": %s, "
            "\"trim_offsets\": true, \"use_regex\": %s}]},\n",
            bool_text(v->space_prefix), bool_text(v->pre->gpt2));
}

static void write_template(FILE *f, const Vocabulary *v)
{
    if (!v->add_bos || v->bos < 0) {
        fprintf(f, " \"post_processor\": null,\n");
        return;
    }
    fprintf(f, " \"post_processor\": {\"type\": \"TemplateProcessing\",");
    static const char *const part[] = {"single", "pair"};
    for (int pair = 0; pair < 2; pair++) {
        fprintf(f, "\n  \"%s\": [", part[pair]);
        for (int i = 0; i <= pair; i++) {
            fprintf(f, "%s{\"SpecialToken\": {", i ? ", " : "");
            put_field(f, "id", v->token[v->bos]);
            fprintf(f,
                    ", \"type_id\": %d}}, {\"Sequence\": {\"id\": \"%c\", "
                    "\"type_id\": %d}}",
                    i, 'A' + i, i);
        }
        fprintf(f, "],");
    }
    fprintf(f, "\n  \"special_tokens\": {");
    put_string(f, v->token[v->bos]);
    fprintf(f, ": {");
    put_field(f, "id", v->token[v->bos]);
    fprintf(f, ", \"ids\": [%d], \"tokens\": [", v->bos);
    put_string(f, v->token[v->bos]);
    fprintf(f, "]}}},\n");
}

static void write_decoder(FILE *f, const Vocabulary *v)
{
    fprintf(f, " \"decoder\": ");
    if (v->pre) {
        fprintf(f, "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
                   "\"trim_offsets\": true, \"use_regex\": true},\n");
        return;
    }
    fprintf(f, "{\"type\": \"Sequence\", \"decoders\": [{\"type\": "
               "\"Replace\", \"pattern\": {\"String\": \"▁\"}, \"content\": "
               "\" \"}, {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}");
    if (v->space_prefix)
        fprintf(f, ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, "
                   "\"stop\": 0}");
    fprintf(f, "]},\n");
}

static void write_model(FILE *f, const Vocabulary *v)
{
    bool pieces = !v->pre;
    fprintf(f, " \"model\": {\"type\": \"BPE\", \"dropout\": null, "
               "\"unk_token\": ");
    if (pieces && v->unk >= 0)
        put_string(f, v->token[v->unk]);
    else
        fprintf(f, "null");
    fprintf(f,
            ", \"continuing_subword_prefix\": null, "
            "\"end_of_word_suffix\": null, \"fuse_unk\": %s, "
            "\"byte_fallback\": %s, \"ignore_merges\": %s,\n"
            "  \"vocab\": {",
            bool_text(pieces), bool_text(pieces),
            bool_text(!pieces && v->pre->ignore_merges));
    for (int i = 0; i < v->tokens; i++) {
        fprintf(f, "%s\n   ", i ? "," : "");
        put_string(f, v->token[i]);
        fprintf(f, ": %d", i);
    }
    fprintf(f, "\n  },\n  \"merges\": [");
    for (int i = 0; i < v->merges; i++) {
        fprintf(f, "%s\n   ", i ? "," : "");
        put_string(f, v->merge[i]);
    }
    fprintf(f, "\n  ]\n }\n");
}

void write_tokenizer(FILE *f, const Vocabulary *v)
{
    fprintf(f, "{\n \"version\": \"1.0\", \"truncation\": null, \"padding\": "
               "null,\n");
    write_added(f, v);
    write_normalizer(f, v);
    write_pre(f, v);
    write_template(f, v);
    write_decoder(f, v);
    write_model(f, v);
    fprintf(f, "}\n");
}

static void put_token(FILE *f, const Vocabulary *v, const char *name, int id)
{
    if (id < 0)
        return;
    fprintf(f, ",\n ");
    put_field(f, name, v->token[id]);
}

static void write_named(FILE *f, const char *name, const char *text)
{
    fprintf(f, "\n  {");
    put_field(f, "name", name);
    fprintf(f, ", ");
    put_field(f, "template", text);
    fprintf(f, "}");
}

static void write_templates(FILE *f, const Vocabulary *v)
{
    const char *comma = "";
    if (!v->chat_template && !v->template.n)
        return;
    fprintf(f, ",\n ");
    if (!v->template.n) {
        put_field(f, "chat_template", v->chat_template);
        return;
    }
    fprintf(f, "\"chat_template\": [");
    if (v->chat_template) {
        write_named(f, "default", v->chat_template);
        comma = ",";
    }
    for (int i = 0; i < v->template.n; i++, comma = ",") {
        fprintf(f, "%s", comma);
        write_named(f, v->template.at[i].name, v->template.at[i].text);
    }
    fprintf(f, "]");
}

void write_tokenizer_config(FILE *f, const Vocabulary *v)
{
    fprintf(f,
            "{\n \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n "
            "\"add_bos_token\": %s,\n \"add_eos_token\": false,\n "
            "\"clean_up_tokenization_spaces\": false",
            bool_text(v->add_bos && v->bos >= 0));
    put_token(f, v, "bos_token", v->bos);
    put_token(f, v, "eos_token", v->eos);
    put_token(f, v, "unk_token", v->unk);
    put_token(f, v, "pad_token", v->pad);
    write_templates(f, v);
    fprintf(f, "\n}\n");
}

void write_generation_config(FILE *f, const Vocabulary *v)
{
    const char *comma = "";
    fprintf(f, "{");
    if (v->bos >= 0) {
        fprintf(f, "\n \"bos_token_id\": %d", v->bos);
        comma = ",";
    }
    if (v->end.n == 1)
        fprintf(f, "%s\n \"eos_token_id\": %d", comma, v->end.at[0]);
    for (int i = 0; v->end.n > 1 && i < v->end.n; i++)
        if (i)
            fprintf(f, ", %d", v->end.at[i]);
        else
            fprintf(f, "%s\n \"eos_token_id\": [%d", comma, v->end.at[i]);
    fprintf(f, "%s\n}\n", v->end.n > 1 ? "]" : "");
}
