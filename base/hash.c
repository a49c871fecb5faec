/* Hashes: FNV-1a, which gives the same number for good, and for tables of what
 * comes from files SipHash-1-3 with a key of this process, so that nobody can
 * choose names that fall into one place (Aumasson, Bernstein: SipHash, 2012;
 * one round a word and three at the end). */
#include "base/base.h"
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

uint64_t hash_bytes(uint64_t seed, const void *data, size_t len)
{
    uint64_t h = seed ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ ((const unsigned char *)data)[i]) * 0x100000001b3u;
    return h;
}

static uint64_t key[2];

static void make_key(void)
{
    if (getrandom(key, sizeof key, GRND_NONBLOCK) != sizeof key) {
        double now = seconds_now();
        memcpy(&key[0], &now, sizeof now);
        key[1] = (uint64_t)(uintptr_t)&now; /* where the stack is */
    }
}

static uint64_t turn(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[2] += v[3];
    v[1] = turn(v[1], 13) ^ v[0], v[3] = turn(v[3], 16) ^ v[2];
    v[0] = turn(v[0], 32);
    v[2] += v[1], v[0] += v[3];
    v[1] = turn(v[1], 17) ^ v[2], v[3] = turn(v[3], 21) ^ v[0];
    v[2] = turn(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

uint64_t hash_keyed(const uint64_t k[2], const void *data, size_t len)
{
    uint64_t v[4] = {k[0] ^ 0x736f6d6570736575u, k[1] ^ 0x646f72616e646f6du,
                     k[0] ^ 0x6c7967656e657261u, k[1] ^ 0x7465646279746573u};
    const unsigned char *at = data;
    uint64_t word;
    size_t left = len;
    for (; left >= 8; at += 8, left -= 8) {
        memcpy(&word, at, 8);
        sip_word(v, word);
    }
    word = (uint64_t)len << 56;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)at[i] << (8 * i);
    sip_word(v, word);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_of_name(const void *data, size_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_key);
    return hash_keyed(key, data, len);
}
