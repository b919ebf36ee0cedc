<?php

declare(strict_types=1);

namespace Lumen\KlaviyoHeaders\Observer;

use Magento\Framework\App\Response\Http;
use Magento\Framework\Event\Observer;
use Magento\Framework\Event\ObserverInterface;
use Magento\Sales\Model\Order as SalesOrder;
use Magento\Sales\Model\ResourceModel\Order\CollectionFactory;

/**
 * The page behind an order tells the order, each time with the same ids.
 */
class Order implements ObserverInterface
{
    /** bytes: what nginx's buffer has room for */
    private const MAX = 12288;

    private Http $response;
    private CollectionFactory $orders;

    public function __construct(Http $response, CollectionFactory $orders)
    {
        $this->response = $response;
        $this->orders = $orders;
    }

    public function execute(Observer $observer): void
    {
        $ids = $observer->getEvent()->getData('order_ids');

        if (!is_array($ids) || $ids === []) {
            return;
        }

        $orders = $this->orders->create()
            ->addFieldToFilter('entity_id', ['in' => $ids]);
        $events = [];

        foreach ($orders as $order) {
            $events = array_merge($events, $this->events($order));
        }

        $json = json_encode($events);

        if ($events !== [] && $json !== false && strlen($json) < self::MAX) {
            $this->response->setHeader('X-Klaviyo-Event', $json, true);
        }
    }

    private function events(SalesOrder $order): array
    {
        $number = (string) $order->getIncrementId();
        $currency = (string) $order->getOrderCurrencyCode();
        $profile = array_filter([
            'email'      => $order->getCustomerEmail(),
            'first_name' => $order->getCustomerFirstname(),
            'last_name'  => $order->getCustomerLastname(),
        ]);

        $items = [];

        foreach ($order->getAllVisibleItems() as $item) {
            $items[] = [
                'ProductID'   => (string) $item->getProductId(),
                'SKU'         => (string) $item->getSku(),
                'ProductName' => (string) $item->getName(),
                'Quantity'    => (float) $item->getQtyOrdered(),
                'ItemPrice'   => (float) $item->getPrice(),
                'RowTotal'    => (float) $item->getRowTotal(),
            ];
        }

        $events = [[
            'metric'         => 'Placed Order',
            'unique_id'      => $number,
            'value'          => (float) $order->getGrandTotal(),
            'value_currency' => $currency,
            'profile'        => $profile,
            'properties'     => [
                'OrderId'       => $number,
                'ItemNames'     => array_column($items, 'ProductName'),
                'DiscountCode'  => (string) $order->getCouponCode(),
                'DiscountValue' => abs((float) $order->getDiscountAmount()),
                'Items'         => $items,
            ],
        ]];

        foreach ($items as $n => $item) {
            $events[] = [
                'metric'         => 'Ordered Product',
                'unique_id'      => $number . '_' . $n,
                'value'          => $item['RowTotal'],
                'value_currency' => $currency,
                'profile'        => $profile,
                'properties'     => ['OrderId' => $number] + $item,
            ];
        }

        return $events;
    }
}
