/* Machines that code can be made for by name. */
#include "codegen/emit/emit.h"
#include "codegen/jit/machine.h"
#include <string.h>

#define X86 "x86_64-unknown-linux-gnu"
#define V2 "+cx16,+popcnt,+sse3,+ssse3,+sse4.1,+sse4.2"
#define V3 V2 ",+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe"
#define V4 V3 ",+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"
#define AMX V4 ",+avx512bf16,+avx512vnni,+amx-tile,+amx-bf16"

static const struct {
    const char *name;
    Target target;
} targets[] = {
    {"x86-64", {.triple = X86, .features = "", .width = 16, .x86 = true}},
    {"x86-64-v3",
     {.triple = X86, .features = V3, .width = 32, .fma = true, .x86 = true,
      .f16c = true}},
    {"x86-64-v4",
     {.triple = X86, .features = V4, .width = 64, .fma = true, .masks = true,
      .x86 = true, .f16c = true}},
    {"sapphirerapids",
     {.triple = X86, .features = AMX, .width = 64, .fma = true, .masks = true,
      .x86 = true, .f16c = true, .bf16_dot = true,
      .vnni = true, .amx = true, .tiles = true}},
    {"aarch64",
     {.triple = "aarch64-unknown-linux-gnu", .features = "+neon,+fp-armv8",
      .width = 16, .fma = true}},
};

const char *target_name(int i)
{
    return i < (int)COUNT(targets) ? targets[i].name : NULL;
}

const char *target_text(const Target *t)
{
    for (size_t i = 0; i < COUNT(targets); i++)
        if (&targets[i].target == t)
            return targets[i].name;
    return t->triple;
}

const Target *target_find(const char *name)
{
    for (size_t i = 0; i < COUNT(targets); i++)
        if (!strcmp(targets[i].name, name))
            return &targets[i].target;
    return NULL;
}
