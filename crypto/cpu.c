/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/cpu_priv.h"

#include <cpuid.h>
#include <stdatomic.h>
#include <stdint.h>

/* CPUID leaf 1, ecx (Intel SDM volume 2, CPUID). */
#define LEAF1_ECX_SSSE3   (1u << 9)
#define LEAF1_ECX_SSE41   (1u << 19)
#define LEAF1_ECX_POPCNT  (1u << 23)
#define LEAF1_ECX_AESNI   (1u << 25)
#define LEAF1_ECX_OSXSAVE (1u << 27)

/* CPUID leaf 7, subleaf 0. */
#define LEAF7_EBX_AVX2     (1u << 5)
#define LEAF7_EBX_BMI2     (1u << 8)
#define LEAF7_EBX_AVX512F  (1u << 16)
#define LEAF7_EBX_AVX512DQ (1u << 17)
#define LEAF7_EBX_AVX512BW (1u << 30)
#define LEAF7_EBX_AVX512VL (1u << 31)
#define LEAF7_ECX_VBMI2    (1u << 6)
#define LEAF7_ECX_VAES     (1u << 9)

#define LEAF1_AESNI (LEAF1_ECX_SSSE3 | LEAF1_ECX_SSE41 | LEAF1_ECX_AESNI)
#define LEAF7_EBX_VAES512                                                           \
	(LEAF7_EBX_AVX2 | LEAF7_EBX_BMI2 | LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512DQ | \
		LEAF7_EBX_AVX512BW | LEAF7_EBX_AVX512VL)
#define LEAF7_ECX_VAES512 (LEAF7_ECX_VBMI2 | LEAF7_ECX_VAES)

/* XCR0: SSE, AVX, opmask, upper halves of zmm0-15, zmm16-31. */
#define XCR0_ZMM 0xe6u

static bool
leaf1_has(uint32_t ecx_wanted)
{
	uint32_t eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & ecx_wanted) == ecx_wanted;
}

static bool
leaf7_has(uint32_t ebx_wanted, uint32_t ecx_wanted)
{
	uint32_t eax, ebx, ecx, edx;

	return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) &&
	       (ebx & ebx_wanted) == ebx_wanted && (ecx & ecx_wanted) == ecx_wanted;
}

/* MUST be called only where OSXSAVE is set: the instruction is undefined without it. */
static bool
xcr0_has(uint32_t wanted)
{
	uint32_t eax, edx;

	__asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	return (eax & wanted) == wanted;
}

static bool
ask_aesni(void)
{
	return leaf1_has(LEAF1_AESNI);
}

static bool
ask_vaes512(void)
{
	return leaf1_has(LEAF1_AESNI | LEAF1_ECX_POPCNT | LEAF1_ECX_OSXSAVE) &&
	       xcr0_has(XCR0_ZMM) && leaf7_has(LEAF7_EBX_VAES512, LEAF7_ECX_VAES512);
}

/*
 * CPUID leaves a virtual machine for its host, which takes microseconds, and control asks once per
 * key: so the answer is kept. Threads that ask at once all come to the same answer.
 */
static bool
ask_once(_Atomic(int) *answer, bool (*ask)(void))
{
	int kept = atomic_load_explicit(answer, memory_order_relaxed);

	if (kept == 0) {
		kept = ask() ? 1 : -1;
		atomic_store_explicit(answer, kept, memory_order_relaxed);
	}
	return kept > 0;
}

bool
cpu_has_aesni(void)
{
	static _Atomic(int) answer;

	return ask_once(&answer, ask_aesni);
}

bool
cpu_has_vaes512(void)
{
	static _Atomic(int) answer;

	return ask_once(&answer, ask_vaes512);
}
