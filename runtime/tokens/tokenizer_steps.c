/* Reads normalizer, pre_tokenizer and decoder of a tokenizer.json into lists
 * of steps: a Sequence is its members, a ByteLevel several steps. */
#include "runtime/tokens/tokenizer_read.h"
#include <string.h>
#include <utf8proc.h>

typedef struct {
    Reader *r;
    const char *where; /* "normalizer", "pre_tokenizer", "decoder" */
    const char *type;
    Steps *out;
    bool fused; /* a Fuse was met: later steps see the whole text */
} StepReader;

typedef bool (*ReadStep)(StepReader *in, const cJSON *json);

static const char GPT2[] = "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+"
                           "| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
static const char PUNCTUATION[] = "\\p{.punctuation}";

static bool fail(StepReader *in, const char *what)
{
    return reader_fail(in->r, "%s: %s: %s", in->where, in->type, what);
}

static void push(StepReader *in, Step s)
{
    list_push(&in->r->t->arena, in->out, s);
}

static bool text_of(StepReader *in, const cJSON *json, const char *name,
                    Span *out)
{
    const cJSON *s = field(json, name);
    if (!cJSON_IsString(s)) {
        char what[80];
        snprintf(what, sizeof what, "%s: a string is needed", name);
        return fail(in, what);
    }
    *out = span(arena_printf(&in->r->t->arena, "%s", s->valuestring));
    return true;
}

static bool regex_of(StepReader *in, Span pattern, Pattern *out)
{
    char where[200];
    snprintf(where, sizeof where, "%.120s: %s: %.40s", in->r->name, in->where,
             in->type);
    out->regex = regex_compile(pattern, where, in->r->err);
    return out->regex;
}

static bool pattern_of(StepReader *in, const cJSON *json, Pattern *out)
{
    const cJSON *p = field(json, "pattern");
    if (cJSON_IsString(p))
        return text_of(in, json, "pattern", &out->string);
    if (field(p, "String"))
        return text_of(in, p, "String", &out->string);
    const cJSON *regex = field(p, "Regex");
    if (!cJSON_IsString(regex))
        return fail(in, "pattern: a String or a Regex is needed");
    return regex_of(in, span(regex->valuestring), out);
}

static int int_of(const cJSON *json, const char *name)
{
    const cJSON *n = field(json, name);
    return cJSON_IsNumber(n) && n->valuedouble > 0 ? n->valueint : 0;
}

/* ---- normalizers ---- */

static bool norm_prepend(StepReader *in, const cJSON *json)
{
    Step s = {.kind = NORM_prepend};
    if (!text_of(in, json, "prepend", &s.with))
        return false;
    push(in, s);
    return true;
}

static bool norm_replace(StepReader *in, const cJSON *json)
{
    Step s = {.kind = NORM_replace};
    if (!text_of(in, json, "content", &s.with) ||
        !pattern_of(in, json, &s.pattern))
        return false;
    push(in, s);
    return true;
}

static bool norm_unicode(StepReader *in, const cJSON *json)
{
    (void)json;
    bool compose = strchr(in->type, 'C'), compat = strchr(in->type, 'K');
    push(in,
         (Step){.kind = NORM_unicode,
                .options = (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                           (compat ? UTF8PROC_COMPAT : 0)});
    return true;
}

static bool norm_plain(StepReader *in, const cJSON *json)
{
    (void)json;
    push(in, (Step){.kind = !strcmp(in->type, "Lowercase")      ? NORM_lower
                            : !strcmp(in->type, "StripAccents") ? NORM_no_marks
                            : !strcmp(in->type, "Nmt")          ? NORM_nmt
                                                                : NORM_bytes});
    return true;
}

static bool norm_strip(StepReader *in, const cJSON *json)
{
    push(in, (Step){.kind = NORM_strip,
                    .start = field_bool(json, "strip_left", true),
                    .stop = field_bool(json, "strip_right", true)});
    return true;
}

/* Accents go where lower case is asked for, unless it says so itself. */
static bool norm_bert(StepReader *in, const cJSON *json)
{
    bool small = field_bool(json, "lowercase", true);
    if (field_bool(json, "clean_text", true))
        push(in, (Step){.kind = NORM_clean});
    if (field_bool(json, "handle_chinese_chars", true))
        push(in, (Step){.kind = NORM_cjk});
    if (field_bool(json, "strip_accents", small)) {
        push(in, (Step){.kind = NORM_unicode, .options = UTF8PROC_DECOMPOSE});
        push(in, (Step){.kind = NORM_no_nonspacing});
    }
    if (small)
        push(in, (Step){.kind = NORM_lower});
    return true;
}

static bool norm_charsmap(StepReader *in, const cJSON *json)
{
    const cJSON *map = field(json, "precompiled_charsmap");
    Step s = {.kind = NORM_charsmap};
    if (!cJSON_IsString(map) ||
        !charsmap_read(&in->r->t->arena, map->valuestring, &s.with))
        return fail(in, "precompiled_charsmap: a table in base64 is needed");
    push(in, s);
    return true;
}

/* ---- pre-tokenizers ---- */

static bool push_split(StepReader *in, const char *regex, Behavior behavior,
                       bool invert)
{
    Step s = {.kind = PRE_split, .behavior = behavior, .invert = invert};
    if (!regex_of(in, span(regex), &s.pattern))
        return false;
    push(in, s);
    return true;
}

static bool pre_byte_level(StepReader *in, const cJSON *json)
{
    if (field_bool(json, "add_prefix_space", true))
        push(in, (Step){.kind = PRE_space});
    if (field_bool(json, "use_regex", true) &&
        !push_split(in, GPT2, SPLIT_isolated, false))
        return false;
    push(in, (Step){.kind = PRE_bytes});
    return true;
}

static bool behavior_of(StepReader *in, const cJSON *json, Behavior *out)
{
    static const char *const name[] = {"Isolated", "Removed",
                                       "MergedWithPrevious", "MergedWithNext",
                                       "Contiguous"};
    const cJSON *b = field(json, "behavior");
    for (size_t i = 0; cJSON_IsString(b) && i < COUNT(name); i++)
        if (!strcmp(b->valuestring, name[i])) {
            *out = (Behavior)i;
            return true;
        }
    return fail(in, "behavior: one of Isolated, Removed, MergedWithPrevious, "
                    "MergedWithNext, Contiguous is needed");
}

static bool pre_split(StepReader *in, const cJSON *json)
{
    Step s = {.kind = PRE_split, .invert = field_bool(json, "invert", false)};
    if (!behavior_of(in, json, &s.behavior) ||
        !pattern_of(in, json, &s.pattern))
        return false;
    push(in, s);
    return true;
}

static bool pre_digits(StepReader *in, const cJSON *json)
{
    bool each = field_bool(json, "individual_digits", false);
    return push_split(in, each ? "\\p{.number}" : "\\p{.number}+",
                      SPLIT_isolated, false);
}

static bool pre_punctuation(StepReader *in, const cJSON *json)
{
    Behavior b = SPLIT_isolated;
    return (!field(json, "behavior") || behavior_of(in, json, &b)) &&
           push_split(in, PUNCTUATION, b, false);
}

static bool pre_spaces(StepReader *in, const cJSON *json)
{
    (void)json;
    if (!strcmp(in->type, "Whitespace"))
        return push_split(in, "\\p{.word}+|[^\\p{.word}\\s]+", SPLIT_removed,
                          true);
    return push_split(in, "\\s", SPLIT_removed, false) &&
           (strcmp(in->type, "BertPreTokenizer") ||
            push_split(in, PUNCTUATION, SPLIT_isolated, false));
}

static bool pre_delimiter(StepReader *in, const cJSON *json)
{
    Step s = {.kind = PRE_split, .behavior = SPLIT_removed};
    if (!text_of(in, json, "delimiter", &s.pattern.string))
        return false;
    push(in, s);
    return true;
}

static bool pre_fixed(StepReader *in, const cJSON *json)
{
    char regex[40];
    int length = int_of(json, "length");
    if (length < 1 || length > 10000)
        return fail(in, "length: a number from 1 to 10000 is needed");
    snprintf(regex, sizeof regex, "(?m:.){1,%d}", length);
    return push_split(in, regex, SPLIT_isolated, false);
}

/* Old files have add_prefix_space where new ones have prepend_scheme. */
static bool scheme_of(StepReader *in, const cJSON *json, Prepend *out)
{
    const cJSON *scheme = field(json, "prepend_scheme");
    const char *s = cJSON_IsString(scheme) ? scheme->valuestring : "";
    if (!scheme)
        *out = field_bool(json, "add_prefix_space", true) ? PREPEND_always
                                                          : PREPEND_never;
    else if (!strcmp(s, "always") || !strcmp(s, "first"))
        *out = s[0] == 'a' ? PREPEND_always : PREPEND_first;
    else if (!strcmp(s, "never"))
        *out = PREPEND_never;
    else
        return fail(in, "prepend_scheme: always, first or never is needed");
    return true;
}

static bool metaspace(StepReader *in, const cJSON *json)
{
    bool decoder = in->where[0] == 'd';
    Step s = {.kind = decoder ? DEC_metaspace : PRE_metaspace};
    if (!text_of(in, json, "replacement", &s.with))
        return false;
    if (!s.with.len || (size_t)char_length(s.with.at, s.with.len) != s.with.len)
        return fail(in, "replacement: one character is needed");
    if (!scheme_of(in, json, &s.prepend))
        return false;
    push(in, s);
    if (!decoder && field_bool(json, "split", true))
        push(in, (Step){.kind = PRE_split,
                        .behavior = SPLIT_next,
                        .pattern.string = s.with});
    return true;
}

/* ---- decoders ---- */

static bool dec_plain(StepReader *in, const cJSON *json)
{
    (void)json;
    if (!strcmp(in->type, "Fuse"))
        in->fused = true;
    else
        push(in, (Step){.kind = !strcmp(in->type, "ByteLevel")
                                    ? DEC_bytes
                                    : DEC_byte_fallback});
    return true;
}

static bool dec_replace(StepReader *in, const cJSON *json)
{
    Step s = {.kind = DEC_replace};
    if (!text_of(in, json, "content", &s.with) ||
        !pattern_of(in, json, &s.pattern))
        return false;
    push(in, s);
    Span p = s.pattern.string;
    bool one = p.len && (size_t)char_length(p.at, p.len) == p.len;
    return !in->fused || one ||
           fail(in, "after Fuse only one character can be replaced");
}

static bool dec_strip(StepReader *in, const cJSON *json)
{
    Step s = {.kind = in->fused ? DEC_lead : DEC_strip,
              .start = int_of(json, "start"),
              .stop = int_of(json, "stop")};
    if (in->fused && s.stop)
        return fail(in, "stop: after Fuse only 0 is supported");
    if (!text_of(in, json, "content", &s.with))
        return false;
    push(in, s);
    return true;
}

static bool dec_pieces(StepReader *in, const cJSON *json)
{
    Step s = {.kind = DEC_pieces, .with = span("##"),
              .start = field_bool(json, "cleanup", true)};
    if (field(json, "prefix") && !text_of(in, json, "prefix", &s.with))
        return false;
    push(in, s);
    return true;
}

/* ---- all of them ---- */

static const struct {
    const char *where, *type;
    ReadStep read;
} readers[] = {
    {"normalizer", "Prepend", norm_prepend},
    {"normalizer", "Replace", norm_replace},
    {"normalizer", "NFC", norm_unicode},
    {"normalizer", "NFD", norm_unicode},
    {"normalizer", "NFKC", norm_unicode},
    {"normalizer", "NFKD", norm_unicode},
    {"normalizer", "Lowercase", norm_plain},
    {"normalizer", "StripAccents", norm_plain},
    {"normalizer", "ByteLevel", norm_plain},
    {"normalizer", "Strip", norm_strip},
    {"normalizer", "Nmt", norm_plain},
    {"normalizer", "BertNormalizer", norm_bert},
    {"normalizer", "Precompiled", norm_charsmap},
    {"pre_tokenizer", "ByteLevel", pre_byte_level},
    {"pre_tokenizer", "Split", pre_split},
    {"pre_tokenizer", "Digits", pre_digits},
    {"pre_tokenizer", "Punctuation", pre_punctuation},
    {"pre_tokenizer", "Whitespace", pre_spaces},
    {"pre_tokenizer", "WhitespaceSplit", pre_spaces},
    {"pre_tokenizer", "BertPreTokenizer", pre_spaces},
    {"pre_tokenizer", "CharDelimiterSplit", pre_delimiter},
    {"pre_tokenizer", "FixedLength", pre_fixed},
    {"pre_tokenizer", "Metaspace", metaspace},
    {"decoder", "ByteLevel", dec_plain},
    {"decoder", "ByteFallback", dec_plain},
    {"decoder", "Fuse", dec_plain},
    {"decoder", "Replace", dec_replace},
    {"decoder", "Strip", dec_strip},
    {"decoder", "Metaspace", metaspace},
    {"decoder", "WordPiece", dec_pieces},
};

enum { MAX_NESTED = 16, MAX_STEPS = 64 };

static bool read_step(StepReader *in, const cJSON *json, int depth);

/* A Sequence's members are under another name in each place. */
static bool read_sequence(StepReader *in, const cJSON *json, int depth)
{
    const char *name = in->where[0] == 'n'   ? "normalizers"
                       : in->where[0] == 'p' ? "pretokenizers"
                                             : "decoders";
    const cJSON *list = field(json, name);
    if (!cJSON_IsArray(list))
        return fail(in, "a list of steps is needed");
    if (depth == MAX_NESTED)
        return fail(in, "nested too deep");
    for (const cJSON *s = list->child; s; s = s->next)
        if (!read_step(in, s, depth + 1))
            return false;
    return true;
}

static bool read_step(StepReader *in, const cJSON *json, int depth)
{
    const cJSON *type = field(json, "type");
    if (!cJSON_IsString(type))
        return reader_fail(in->r, "%s: an object with a type is needed",
                           in->where);
    in->type = type->valuestring;
    if (!strcmp(in->type, "Sequence"))
        return read_sequence(in, json, depth);
    for (size_t i = 0; i < COUNT(readers); i++)
        if (!strcmp(readers[i].where, in->where) &&
            !strcmp(readers[i].type, in->type))
            return readers[i].read(in, json);
    return reader_fail(in->r, "%s: %s is not supported", in->where,
                       quoted(in->r, in->type));
}

static bool read_list(Reader *r, const cJSON *root, const char *where,
                      Steps *out)
{
    const cJSON *json = field(root, where);
    StepReader in = {.r = r, .where = where, .out = out, .type = ""};
    if (json && !read_step(&in, json, 0))
        return false;
    return out->n <= MAX_STEPS ||
           reader_fail(r, "%s: more than %d steps", where, MAX_STEPS);
}

bool read_steps(Reader *r, const cJSON *root)
{
    Tokenizer *t = r->t;
    if (!read_list(r, root, "normalizer", &t->normalizer) ||
        !read_list(r, root, "pre_tokenizer", &t->pre) ||
        !read_list(r, root, "decoder", &t->decoder))
        return false;
    if (!field(root, "decoder"))
        list_push(&t->arena, &t->decoder, (Step){.kind = DEC_join});
    return true;
}
