<?php

declare(strict_types=1);

namespace Stockade;

/**
 * Why a product is not for sale.
 */
enum OffSale: string
{
    /** It is not sold before the moment. */
    case Before = 'before';
    /** It is not sold from the moment on. */
    case Since = 'since';
    /** It is archived. */
    case Archived = 'archived';
}
