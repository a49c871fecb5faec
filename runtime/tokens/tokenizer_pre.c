/* The patterns that GGUF files name in tokenizer.ggml.pre, as the models' own
 * tokenizer.json files have them. */
#include "runtime/tokens/tokenizer_impl.h"
#include <string.h>

#define SUFFIXES "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LETTERS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define OTHERS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED "[^\\r\\n\\p{L}\\p{N}]?"
#define CJK "[一-龥ࠀ-一가-\xed\x9f\xbf]+"
#define PLAIN_WORDS " ?[^(\\s|.,!?…。，、।۔،)]+"
#define DEEPSEEK_WORDS \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|" \
    "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|" \
    " ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES

static const PreTable table[] = {
    {.names = " default gpt-2 gpt2 phi-2 mpt olmo jais trillion gigachat "
              "roberta-bpe modern-bert jina-es jina-de jina-v1-en jina-v2-es "
              "jina-v2-de jina-v2-code a.x-4.0 mellum granite-docling ",
     .gpt2 = true},
    {.names = " smollm starcoder refact command-r codeshell exaone minerva-7b ",
     .pattern = {"\\p{N}"},
     .gpt2 = true},
    {.names = " falcon ",
     .pattern = {"[\\p{P}\\$\\+<=>\\^~\\|`]+",
                 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|"
                 " ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)",
                 "[0-9][0-9][0-9]"}},
    {.names = " llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 "
              "lfm2 ",
     .pattern = {SUFFIXES "|" LETTERS "|\\p{N}{1,3}|" OTHERS "|" SPACES},
     .ignore_merges = true,
     .add_bos = true},
    {.names = " dbrx smaug-bpe chatglm-bpe glm4 ",
     .pattern = {SUFFIXES "|" LETTERS "|\\p{N}{1,3}|" OTHERS "|" SPACES}},
    {.names = " qwen2 deepseek-r1-qwen stablelm2 hunyuan megrez grok-2 ",
     .pattern = {SUFFIXES "|" LETTERS "|\\p{N}|" OTHERS "|" SPACES}},
    {.names = " deepseek-coder ",
     .pattern = {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, "\\p{N}"}},
    {.names = " deepseek-v3 hunyuan-dense ",
     .pattern = {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK_WORDS}},
    {.names = " gpt-4o llama4 minimax-m2 ",
     .pattern = {CASED UPPER "*" LOWER "+" SUFFIXES "?|" CASED UPPER "+" LOWER
                       "*" SUFFIXES "?|\\p{N}{1,3}|"
                       " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES}},
    {.names = " tekken ",
     .pattern = {CASED UPPER "*" LOWER "+|" CASED UPPER "+" LOWER "*|\\p{N}|"
                       " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES},
     .ignore_merges = true,
     .add_bos = true},
    {.names = " poro-chat bloom gpt3-finnish ", .pattern = {PLAIN_WORDS}},
    {.names = " viking ", .pattern = {PLAIN_WORDS, "\\p{N}"}},
    {.names = " seed-coder ",
     .pattern = {SUFFIXES "|" LETTERS "|\\p{N}{1}|"
                          " ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES}},
    {.names = " bailingmoe bailingmoe2 llada-moe ",
     .pattern = {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}|"
                 " ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|"
                 "\\s+"}},
};

const PreTable *pre_find(const char *name)
{
    char word[64];
    snprintf(word, sizeof word, " %.60s ", name);
    for (size_t i = 0; i < COUNT(table); i++)
        if (!strchr(name, ' ') && strstr(table[i].names, word))
            return &table[i];
    return NULL;
}

static bool same_patterns(const char *const *a, const char *const *b)
{
    for (; *a && *b; a++, b++)
        if (strcmp(*a, *b))
            return false;
    return !*a && !*b;
}

const PreTable *pre_match(const char *const *pattern, bool gpt2,
                          bool ignore_merges)
{
    const PreTable *found = NULL;
    for (size_t i = 0; i < COUNT(table); i++)
        if (table[i].gpt2 == gpt2 && same_patterns(table[i].pattern, pattern) &&
            (!found || table[i].ignore_merges == ignore_merges))
            found = &table[i];
    return found;
}

/* The first name; llama.cpp's "default" is another pattern than GPT-2's. */
const char *pre_name(const PreTable *t)
{
    const char *name = t->names + 1;
    if (!strncmp(name, "default ", 8))
        name += 8;
    return intern_n(name, strcspn(name, " "));
}
