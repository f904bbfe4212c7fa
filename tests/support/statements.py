"""Bank statements (camt.053) in the ways of three banks; the names and numbers in them are made up."""

IBAN = "FR7630006000011234567890189"
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt>'
    "<GrpHdr><MsgId>M</MsgId><CreDtTm>2026-05-04T06:00:00</CreDtTm></GrpHdr>{statements}</BkToCstmrStmt></Document>"
)


def file(*statements: str, version: str = "02") -> bytes:
    """Return a file of statements, each a row of entries."""
    made = "".join(
        f"<Stmt><Id>S{number}</Id><Acct><Id><IBAN>{IBAN}</IBAN></Id><Ccy>EUR</Ccy></Acct>"
        "<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp>"
        '<Amt Ccy="EUR">0.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-05-01</Dt></Dt></Bal>'
        f"{entries}</Stmt>"
        for number, entries in enumerate(statements)
    )
    return _HEAD.format(version=version, statements=made).encode()


def terse(
    amount: str, words: str, *, day: str = "2026-05-02", reference: str = "", way: str = "CRDT", reversal: bool = False,
    status: str = "BOOK", currency: str = "EUR",
) -> str:  # fmt: skip
    """Return an entry of a bank that says all in one line of words and gives no details."""
    named = f"<AcctSvcrRef>{reference}</AcctSvcrRef>" if reference else ""
    back = "<RvslInd>true</RvslInd>" if reversal else ""
    return (
        f'<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{way}</CdtDbtInd>{back}<Sts>{status}</Sts>'
        f"<BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt>{named}"
        "<BkTxCd><Prtry><Cd>05</Cd></Prtry></BkTxCd>"
        f"<AddtlNtryInf>{words}</AddtlNtryInf></Ntry>"
    )


def batch(total: str, *parts: tuple[str, str, str], day: str = "2026-05-02", reference: str = "BATCH-7") -> str:
    """Return an entry (version 08) of a bank that books payments together: amount, end-to-end id, reference."""
    details = "".join(
        f"<TxDtls><Refs><AcctSvcrRef>{reference}</AcctSvcrRef><EndToEndId>{end}</EndToEndId></Refs>"
        f'<Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
        "<RltdPties><Dbtr><Pty><Nm>Müller &amp; Söhne</Nm></Pty></Dbtr></RltdPties>"
        "<RmtInf><Strd><CdtrRefInf><Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp>"
        f"<Ref>{structured}</Ref></CdtrRefInf></Strd></RmtInf></TxDtls>"
        for amount, end, structured in parts
    )
    return (
        f'<Ntry><NtryRef>1</NtryRef><Amt Ccy="EUR">{total}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        f"<BookgDt><DtTm>{day}T08:15:00+02:00</DtTm></BookgDt><AcctSvcrRef>{reference}</AcctSvcrRef>"
        "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>"
        f"<NtryDtls><Btch><NbOfTxs>{len(parts)}</NbOfTxs></Btch>{details}</NtryDtls></Ntry>"
    )


def numbered(amount: str, *words: str, number: int = 1, day: str = "2026-05-02", name: str = "Ada") -> str:
    """Return an entry of a bank that only numbers those of each statement, and breaks what payers typed into lines."""
    lines = "".join(f"<Ustrd>{one}</Ustrd>" for one in words)
    return (
        f'<Ntry><NtryRef>{number:05d}</NtryRef><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts>'
        f"<BookgDt><Dt>{day}</Dt></BookgDt><AcctSvcrRef>NOTPROVIDED</AcctSvcrRef>"
        "<BkTxCd><Prtry><Cd>541</Cd></Prtry></BkTxCd><NtryDtls><TxDtls>"
        "<Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>"
        f'<AmtDtls><TxAmt><Amt Ccy="EUR">{amount}</Amt></TxAmt></AmtDtls>'
        f"<RltdPties><Dbtr><Nm>{name}</Nm></Dbtr></RltdPties><RmtInf>{lines}</RmtInf></TxDtls></NtryDtls></Ntry>"
    )
