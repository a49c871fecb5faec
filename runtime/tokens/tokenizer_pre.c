/* The patterns that GGUF files name in tokenizer.ggml.pre, as the models' own
 * tokenizer.json files have them. */
#include "runtime/tokens/tokenizer_read.h"
#include <string.h>

#define SUFFIXES "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LETTERS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define OTHERS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED "[^\\r\\n\\p{L}\\p{N}]?"
/* The letters of scripts with capitals, as DeepSeek LLM lists them. */
#define CAPITAL_SCRIPTS \
    "µÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-Ჺ" \
    "Ჽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-" \
    "ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-" \
    "ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
#define GPT2_WORDS \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|" \
    " ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
#define NOT_HAN(class) "(?:(?!\\p{Han})" class ")"
#define CJK "[一-龥ࠀ-一가-\xed\x9f\xbf]+"
#define PLAIN_WORDS " ?[^(\\s|.,!?…。，、।۔،)]+"
#define DEEPSEEK_WORDS \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|" \
    "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|" \
    " ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES

static const PreTable table[] = {
    {.names = " gpt-2 gpt2 phi-2 mpt olmo jais trillion gigachat "
              "roberta-bpe modern-bert jina-es jina-de jina-v1-en jina-v2-es "
              "jina-v2-de jina-v2-code a.x-4.0 mellum granite-docling exaone4 ",
     .gpt2 = true},
    {.names = " smollm starcoder refact command-r codeshell exaone minerva-7b "
              "mellum2 ",
     .pattern = {"\\p{N}"},
     .gpt2 = true},
    {.names = " default ",
     .pattern = {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2_WORDS, "\\p{N}+",
                 "[0-9][0-9][0-9]"}},
    {.names = " deepseek-llm ",
     .pattern = {"[\\r\\n]", "\\s?[A-Za-z" CAPITAL_SCRIPTS "]+",
                 "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$", CJK,
                 "\\p{N}+"}},
    {.names = " falcon ",
     .pattern = {"[\\p{P}\\$\\+<=>\\^~\\|`]+",
                 GPT2_WORDS, "[0-9][0-9][0-9]"}},
    {.names = " llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 "
              "lfm2 jina-v5-nano ",
     .pattern = {SUFFIXES "|" LETTERS "|\\p{N}{1,3}|" OTHERS "|" SPACES},
     .ignore_merges = true,
     .add_bos = true},
    {.names = " dbrx smaug-bpe chatglm-bpe glm4 glm5 ",
     .pattern = {SUFFIXES "|" LETTERS "|\\p{N}{1,3}|" OTHERS "|" SPACES}},
    {.names = " qwen2 deepseek-r1-qwen stablelm2 hunyuan megrez grok-2 kormo "
              "f2llmv2 solar-open ",
     .pattern = {SUFFIXES "|" LETTERS "|\\p{N}|" OTHERS "|" SPACES}},
    {.names = " qwen35 ",
     .pattern = {SUFFIXES "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}|"
                          " ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES}},
    {.names = " ufakzeka ",
     .pattern = {LETTERS "|\\p{N}|" OTHERS "|" SPACES}},
    {.names = " superbpe ",
     .pattern = {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}},
    {.names = " minicpm5 ",
     .pattern = {"\\p{N}{1,3}",
                 SUFFIXES "|" LETTERS "|\\p{N}+|" OTHERS "|" SPACES},
     .ignore_merges = true},
    {.names = " deepseek-coder ",
     .pattern = {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, "\\p{N}"}},
    {.names = " deepseek-v3 hunyuan-dense joyai-llm hy_v4 ",
     .pattern = {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK_WORDS}},
    {.names = " afmoe ", /* digits in threes from the right */
     .pattern = {"[0-9]{1,3}(?=(?:[0-9]{3})*(?![0-9]))",
                 "[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟"
                 "เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+",
                 DEEPSEEK_WORDS}},
    {.names = " kimi-k2 ",
     .pattern = {"\\p{Han}+|" CASED NOT_HAN(UPPER) "*" NOT_HAN(LOWER) "+"
                 SUFFIXES "?|" CASED NOT_HAN(UPPER) "+" NOT_HAN(LOWER) "*"
                 SUFFIXES "?|\\p{N}{1,3}|" OTHERS "|" SPACES}},
    {.names = " youtu ",
     .pattern = {"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|"
                 "[一-龥぀-ゟ゠-ヿ]+",
                 CASED UPPER "*" LOWER "+" SUFFIXES "?|" CASED UPPER "+" LOWER
                       "*" SUFFIXES "?|\\p{N}|"
                       " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES},
     .ignore_merges = true},
    {.names = " tiny_aya cohere2moe ",
     .pattern = {"\\d{1,3}(?=(?:\\d{3})*\\b)",
                 CASED UPPER "*" LOWER "+" SUFFIXES "?|" CASED UPPER "+" LOWER
                       "*" SUFFIXES "?|\\p{N}{1,3}|"
                       " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES}},
    {.names = " exaone-moe ",
     .pattern = {SUFFIXES "|[^\\r\\n\\p{L}\\p{N}]?"
                 "(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}|"
                 " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|"
                 "\\s+(?!\\S)|\\s+"}},
    {.names = " gpt-4o llama4 minimax-m2 kanana2 talkie ",
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

/* A line's end may stand in a pattern itself, where others escape it. */
static bool same_pattern(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char x = *a == '\r' ? 'r' : *a == '\n' ? 'n' : 0;
        char y = *b == '\r' ? 'r' : *b == '\n' ? 'n' : 0;
        if (x && !y)
            y = *b == '\\' ? *++b : 0;
        else if (y && !x)
            x = *a == '\\' ? *++a : 0;
        if (x != y || (!x && *a != *b))
            return false;
    }
    return !*a && !*b;
}

static bool same_patterns(const char *const *a, const char *const *b)
{
    for (; *a && *b; a++, b++)
        if (!same_pattern(*a, *b))
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

/* The first name. */
const char *pre_name(const PreTable *t)
{
    const char *name = t->names + 1;
    return intern_n(name, strcspn(name, " "));
}
