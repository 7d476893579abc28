/*
 * The ways into a guest, and the road to C in long mode.
 *
 *   enter_linux32  offset 0 of a bzImage's kernel: 32-bit, ESI = boot parameters
 *   enter_pvh      named by the ELF note: 32-bit, paging off, EBX = start info
 *                  (Xen, docs/misc/pvh.pandoc)
 *   enter_linux64  offset 0x200, and the ELF entry: long mode, RSI = boot
 *                  parameters (Linux, Documentation/arch/x86/boot.rst)
 *
 * All end in start(), with the address they were given; C tells start info and
 * boot parameters apart by their magic numbers. Instructions are few on purpose:
 * where ring 0 is emulated each costs half a microsecond.
 */
#include "layout.h"

#define CR0_PE_PG 0x80000001
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100

.macro load_segments
        mov     $DATA_SELECTOR, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
.endm

        .section .head, "ax"
        .code32
        .globl  enter_linux32, enter_pvh, enter_linux64

enter_linux32:
        mov     %esi, %edi
        jmp     1f
enter_pvh:
        mov     %ebx, %edi
1:      movl    $page_pointers + PAGE_PRESENT_WRITE_USER, page_root
        movl    $page_directories + PAGE_PRESENT_WRITE_USER, page_pointers
        movl    $PAGE_LARGE + PAGE_PRESENT_WRITE_USER, page_directories
        lgdt    gdt_pointer
        mov     $in_long_mode, %ebp
        jmp     to_long_mode

        .code64
in_long_mode:
        mov     $stack_top, %esp
        mov     $TSS_SELECTOR, %eax
        ltr     %ax
        call    start                   # does not return

/* From 32-bit protected mode, GDT loaded, to 64-bit code at EBP. Keeps EDI, needs
 * no stack. */
        .code32
to_long_mode:
        mov     $page_root, %eax
        mov     %eax, %cr3
        mov     %cr4, %eax
        or      $CR4_PAE, %eax
        mov     %eax, %cr4
        mov     $MSR_EFER, %ecx
        rdmsr
        or      $EFER_LME, %eax
        wrmsr
        mov     %cr0, %eax
        or      $CR0_PE_PG, %eax
        mov     %eax, %cr0
        ljmp    $CODE_SELECTOR, $1f
        .code64
1:      load_segments
        lidt    idt_pointer
        jmp     *%rbp

        .org    0x200
enter_linux64:
        mov     %rsi, %rdi
        movq    $page_pointers + PAGE_PRESENT_WRITE_USER, page_root
        movq    $page_directories + PAGE_PRESENT_WRITE_USER, page_pointers
        movq    $PAGE_LARGE + PAGE_PRESENT_WRITE_USER, page_directories
        mov     $page_root, %eax
        mov     %rax, %cr3
        lgdt    gdt_pointer
        lidt    idt_pointer
        mov     $stack_top, %esp
        push    $CODE_SELECTOR
        push    $1f
        lretq
1:      load_segments
        jmp     in_long_mode

/*
 * Another processor starts here in real mode, at TRAMPOLINE, where smp.c has
 * copied these bytes. Everything is addressed from the page's start.
 */
        .globl  trampoline, trampoline_end
        .code16
trampoline:
        mov     %cs, %ax
        mov     %ax, %ds
        lgdtl   trampoline_gdt - trampoline
        mov     %cr0, %eax
        or      $1, %eax
        mov     %eax, %cr0
        ljmpl   $CODE32_SELECTOR, $ap_protected
trampoline_gdt:
        .word   gdt_end - gdt - 1
        .long   gdt
trampoline_end:

        .code32
ap_protected:
        mov     $DATA_SELECTOR, %eax
        mov     %eax, %ds
        mov     $1f, %ebp
        jmp     to_long_mode
        .code64
        /* Several may come at once: a ticket each, and the stack of that number. */
1:      mov     $1, %edi
        lock xadd %edi, ap_tickets
        cmp     $MAX_CPUS, %edi
        jae     2f
        mov     %edi, %eax
        inc     %eax
        imul    $AP_STACK_BYTES, %eax
        lea     ap_stacks(%rax), %rsp
        call    ap_start
2:      cli
        hlt
        jmp     2b

        .section .note.pvh, "a", @note
        .align  4
        .long   4                       # length of the name
        .long   8                       # length of the value
        .long   18                      # XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .quad   enter_pvh

        .data
        .align  8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      # 32-bit code
        .quad   0x00af9b000000ffff      # 64-bit code
        .quad   0x00cf93000000ffff      # data
        .quad   0x00cff3000000ffff      # data, ring 3
        .quad   0x00affb000000ffff      # 64-bit code, ring 3
        .word   tss_end - tss - 1       # TSS: limit, address, type "available"
        .word   tss - LOAD_ADDRESS
        .byte   LOAD_ADDRESS >> 16, 0x89, 0, 0
        .quad   0
gdt_end:
gdt_pointer:
        .word   gdt_end - gdt - 1
        .quad   gdt

/* Only one field of it is used: the stack for coming back from ring 3. */
        .globl  tss_rsp0
        .align  8
        .long   0                       # so that tss_rsp0, at offset 4, is aligned
tss:    .long   0
tss_rsp0:
        .quad   stack_top
        .fill   102 - 12, 1, 0
        .word   104                     # no I/O permission map
tss_end:

        .bss
        .globl  page_root, page_pointers, page_directories
        .align  4096
page_root:
        .skip   4096
page_pointers:
        .skip   4096
page_directories:
        .skip   4096 * 16
stack:  .skip   STACK_BYTES
stack_top:
ap_stacks:
        .skip   AP_STACK_BYTES * MAX_CPUS
        .globl  ap_tickets
ap_tickets:
        .long   0
        .section .note.GNU-stack, "", @progbits
