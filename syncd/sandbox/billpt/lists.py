"""The fixed lists of the service: document types, means of payment, units, taxes, exemption reasons."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DocumentType:
    """`id` is the same for every account; `tag` is the SAF-T-like code that numbers begin with."""

    id: int
    tag: str
    name: str
    category: str


TYPES = tuple(
    DocumentType(number, tag, name, category)
    for number, (tag, name, category) in enumerate(
        [
            ("FT", "Fatura", "faturas"),
            ("FS", "Fatura Simplificada", "faturas"),
            ("FR", "Fatura Recibo", "faturas"),
            ("ND", "Nota de Débito", "faturas"),
            ("NC", "Nota de Crédito", "faturas"),
            ("GT", "Guia de Transporte", "guias"),
            ("GR", "Guia de Remessa", "guias"),
            ("GC", "Guia de Consignação", "guias"),
            ("GA", "Guia de Ativos Próprios", "guias"),
            ("GD", "Guia de Devolução", "guias"),
            ("NENC", "Nota de Encomenda", "encomendas"),
            ("ORC", "Orçamento", "orcamentos"),
            ("FPF", "Fatura Pró-Forma", "orcamentos"),
            ("VFT", "Fatura de Fornecedor", "compras"),
            ("VFR", "Fatura Recibo de Fornecedor", "compras"),
            ("VFS", "Fatura Simplificada de Fornecedor", "compras"),
            ("VND", "Nota de Débito de Fornecedor", "compras"),
            ("VNC", "Nota de Crédito de Fornecedor", "compras"),
            ("VGR", "Guia de Remessa de Fornecedor", "compras"),
            ("VGT", "Guia de Transporte de Fornecedor", "compras"),
            ("VNENC", "Nota de Encomenda a Fornecedor", "compras"),
            ("VORC", "Orçamento de Fornecedor", "compras"),
            ("VFPF", "Fatura Pró-Forma de Fornecedor", "compras"),
            ("ESTK", "Entrada de Stock", "stock"),
            ("SSTK", "Saída de Stock", "stock"),
            ("SINIV", "Saldo Inicial de Cliente", "faturas"),
            ("SINIC", "Saldo Inicial de Fornecedor", "faturas"),
            ("RC", "Recibo", "faturas"),
            ("RFC", "Recibo de Fornecedor", "compras"),
        ],
        start=1,
    )
)
TYPE_BY_TAG = {kind.tag: kind for kind in TYPES}
TYPE_BY_ID = {kind.id: kind for kind in TYPES}

INVOICES = frozenset({"FT", "FS", "FR"})
CORRECTIONS = frozenset({"NC", "ND"})
OFFERS = frozenset({"NENC", "ORC", "FPF"})  # no invoices, but may be turned into one
OWING = frozenset({"FT", "ND"})  # settled by a receipt; FR and FS settle themselves

PAYMENTS = (
    ("TB", "Transferência bancária ou débito direto autorizado"),
    ("MB", "Referências de pagamento para Multibanco"),
    ("CC", "Cartão de crédito"),
    ("CD", "Cartão de débito"),
    ("CH", "Cheque bancário"),
    ("CO", "Cheque ou cartão oferta"),
    ("CS", "Compensação de saldos em conta corrente"),
    ("DE", "Dinheiro eletrónico"),
    ("LC", "Letra comercial"),
    ("NU", "Numerário"),
    ("PR", "Permuta de bens"),
    ("TR", "Títulos de compensação extrassalarial"),
)
SHIPPING = ("Viatura Cliente", "Nossa Viatura", "Transportadora", "A combinar")
UNITS = (
    ("UN", "Unidade"),
    ("MT", "Metro"),
    ("MT2", "Metro quadrado"),
    ("MT3", "Metro cúbico"),
    ("KG", "Quilograma"),
    ("MIL", "Milhar"),
    ("H", "Hora"),
    ("MIN", "Minuto"),
    ("DIA", "Dia"),
)
TAXES = (
    ("Normal", 23),
    ("Intermédia", 13),
    ("Reduzida", 6),
    ("Madeira Normal", 22),
    ("Madeira Intermédia", 12),
    ("Madeira Reduzida", 4),
    ("Açores Normal", 16),
    ("Açores Intermédia", 9),
    ("Açores Reduzida", 4),
)
OLD_TAXES = tuple(
    (name, {"Madeira Reduzida": 5, "Açores Normal": 18}.get(name, value)) for name, value in TAXES
)  # as the vendor's examples of 2017 show them

SELF_ACCOUNTED = "IVA - autoliquidação"
EXEMPTIONS = {
    "M01": "Artigo 16.º, n.º 6 do CIVA",
    "M02": "Artigo 6.º do Decreto-Lei n.º 198/90, de 19 de junho",
    "M04": "Isento artigo 13.º do CIVA",
    "M05": "Isento artigo 14.º do CIVA",
    "M06": "Isento artigo 15.º do CIVA",
    "M07": "Isento artigo 9.º do CIVA",
    "M09": "IVA - não confere direito a dedução",
    "M10": "IVA - regime de isenção",
    "M11": "Regime particular do tabaco",
    "M12": "Regime da margem de lucro - Agências de viagens",
    "M13": "Regime da margem de lucro - Bens em segunda mão",
    "M14": "Regime da margem de lucro - Objetos de arte",
    "M15": "Regime da margem de lucro - Objetos de coleção e antiguidades",
    "M16": "Isento artigo 14.º do RITI",
    "M19": "Outras isenções",
    "M20": "IVA - regime forfetário",
    "M21": "IVA - não confere direito à dedução (ou expressão similar)",
    "M25": "Mercadorias à consignação",
    "M30": SELF_ACCOUNTED,
    "M31": SELF_ACCOUNTED,
    "M32": SELF_ACCOUNTED,
    "M33": SELF_ACCOUNTED,
    "M34": SELF_ACCOUNTED,
    "M35": SELF_ACCOUNTED,
    "M40": SELF_ACCOUNTED,
    "M41": SELF_ACCOUNTED,
    "M42": SELF_ACCOUNTED,
    "M43": SELF_ACCOUNTED,
    "M44": "IVA - regras específicas - artigo 6.º",
    "M45": "IVA - regime transfronteiriço de isenção",
    "M46": "IVA - e-TaxFree",
    "M99": "Não sujeito ou não tributado",
}
