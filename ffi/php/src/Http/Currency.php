<?php

declare(strict_types=1);

namespace Stockade\Http;

use ValueError;

/**
 * The currencies of ISO 4217 that the engine knows, by the decimals of their amounts.
 *
 * @internal
 */
final class Currency
{
    private const CODES = [
        0 => 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF',
        2 => 'AED AFN ALL AMD XCG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD '
            . 'CDF CHE CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP '
            . 'GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD '
            . 'MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR '
            . 'PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP '
            . 'TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD YER ZAR ZMW ZWL ZWG',
        3 => 'BHD IQD JOD KWD LYD OMR TND',
        4 => 'CLF UYW',
    ];

    /** @var ?array<string, int> */
    private static ?array $decimals = null;

    /** The decimals of an amount in this currency; null for what is no currency. */
    public static function decimals(string $code): ?int
    {
        if (self::$decimals === null) {
            self::$decimals = [];
            foreach (self::CODES as $decimals => $codes) {
                self::$decimals += array_fill_keys(explode(' ', $codes), $decimals);
            }
        }
        return self::$decimals[$code] ?? null;
    }

    /**
     * An amount in minor units of its currency; the most where it has more decimals than that.
     *
     * @throws ValueError for what is no currency
     */
    public static function minor(string $amount, string $currency): int
    {
        $decimals = self::decimals($currency) ?? throw new ValueError('no currency');
        [$major, $places] = explode('.', $amount, 2) + [1 => ''];
        if (strlen($places) > $decimals) {
            return PHP_INT_MAX;
        }
        // Clamps at PHP_INT_MAX.
        return (int) ($major . str_pad($places, $decimals, '0'));
    }
}
